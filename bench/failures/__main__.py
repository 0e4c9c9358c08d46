# SPDX-License-Identifier: Apache-2.0
"""./dev failures: what clients notice when origins die, slow down or fail, and what is promised."""
import argparse
import dataclasses
import os
import pathlib
import resource
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build" / "release"
os.environ.setdefault("TIDEGATE_BINARY", str(RELEASE / "tidegate"))
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench" / "load")]

import machine  # noqa: E402  the paths above come first
from .runs import RUNS, Scale  # noqa: E402

SHOWN = ("date", "CPU", "busy before the run", "kernel", "Tidegate")


def arguments():
    parser = argparse.ArgumentParser(prog="./dev failures", description=__doc__)
    parser.add_argument("--only", default=",".join(RUNS), metavar="RUNS", help="comma list of " + ", ".join(RUNS))
    parser.add_argument("--rate", type=int, help="requests per second, instead of each run's own")
    parser.add_argument("--seconds", type=int, help="of each load, instead of each run's own")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(RUNS):
        parser.error(f"no such run: {', '.join(sorted(unknown))}")
    return options


def scale_of(own, options):
    chosen = {name: value for name in ("rate", "seconds") if (value := getattr(options, name))}
    return dataclasses.replace(Scale(RELEASE / "bench"), **{**own, **chosen})


def page(rows, facts):
    """Markdown. `facts`: what the figures were measured on."""
    lines = ["# When origins fail", "",
             "Written by `./dev failures`. [README.md](README.md#failures) says how; the tests make the same "
             "runs, shorter, in tests/integration/failures.", ""]
    lines += [f"- {name}: {facts[name]}" for name in SHOWN]
    lines += ["", "| run | seen | promised | kept |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.saw} | {row.promise} | {'yes' if row.held else '**no**'} |" for row in rows]
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    facts = dict(machine.facts())
    rows = []
    for name in options.only:
        run, own = RUNS[name]
        for row in run(scale_of(own, options)):
            rows.append(row)
            print(f"{'kept' if row.held else 'BROKEN'}  {row.what}\n        {row.saw}", file=sys.stderr, flush=True)
    whole = set(options.only) == set(RUNS) and not options.rate and not options.seconds
    file = (ROOT / "bench" if whole else ROOT / "build") / "RESULTS-failures.md"
    file.write_text(page(rows, facts), encoding="utf-8")
    print(f"written: {file}", file=sys.stderr)
    return 0 if all(row.held for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
