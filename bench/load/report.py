# SPDX-License-Identifier: Apache-2.0
"""The figures as Markdown. Ratios are taken within a round, so that drift of the machine cancels."""
import statistics

RIVALS = ("nginx", "haproxy")


def median(runs, field):
    return statistics.median(getattr(run, field) for run in runs)


def spread(values, digits=2):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def ratios(runs, other_runs, field):
    return [getattr(a, field) / getattr(b, field) for a, b in zip(runs, other_runs)]


def table(header, rows):
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def best_rival(results, suffix):
    rivals = [name + suffix for name in RIVALS if name + suffix in results]
    return min(rivals, key=lambda label: median(results[label], "cpu"), default=None)


def throughput_rows(results, suffix):
    best = best_rival(results, suffix)
    for label, runs in results.items():
        if label.endswith("+lua") != (suffix == "+lua"):
            continue
        row = [label] + [f"{median(runs, 'requests_per_second'):,.0f}"]
        row += [f"{median(runs, field):.2f}" for field in ("cpu", "user", "system")]
        row += [f"{median(runs, field):,.0f}" for field in ("p50", "p99")]
        row += [sum(run.errors for run in runs)]
        for field in ("requests_per_second", "cpu"):
            row.append(spread(ratios(runs, results[best], field)) if best else "")
        yield row


def throughput(results):
    parts = []
    for suffix, title in (("", "Plain proxying"), ("+lua", "With the Lua policy")):
        rows = list(throughput_rows(results, suffix))
        if not rows:
            continue
        best = best_rival(results, suffix)
        header = ["", "req/s", "CPU µs/request", "user", "system", "p50 µs", "p99 µs", "errors",
                  f"req/s ÷ {best}", f"CPU ÷ {best}"]
        parts.append(f"## {title}\n\n{table(header, rows)}")
    return parts


def policy_cost(results):
    """What the policy costs each program, against itself without."""
    rows = []
    for label, runs in results.items():
        with_policy = results.get(label + "+lua")
        if with_policy:
            extra = [a.cpu - b.cpu for a, b in zip(with_policy, runs)]
            rows.append([label, spread(ratios(with_policy, runs, "cpu")),
                         spread(ratios(with_policy, runs, "requests_per_second")), spread(extra)])
    if not rows:
        return []
    header = ["", "CPU with ÷ without", "req/s with ÷ without", "policy's CPU µs/request"]
    return [f"## What the policy costs\n\n{table(header, rows)}"]


def counts(figures):
    """figures: {label: {"syscalls": SystemCalls, "instructions": …, "idle": …, "startup": …}}."""
    rows = []
    for label, figure in figures.items():
        calls = figure.get("syscalls")
        row = [label] + ([f"{calls.data:.2f}", f"{calls.wait:.3f}", f"{calls.other:.3f}"]
                         if calls else ["", "", ""])
        row += [format(figure[key], form) if key in figure else ""
                for key, form in (("instructions", ",.0f"), ("idle", ",.0f"), ("startup", ".1f"))]
        rows.append(row)
    if not rows:
        return []
    header = ["", "data system calls/request", "epoll_wait/request", "other calls/request",
              "user instructions/request", "bytes/idle connection", "start to first reply ms"]
    return [f"## Counts\n\n{table(header, rows)}"]


def goals(results, figures):
    """Each goal of the project that these figures can answer: goal, measured, met or not."""
    rows = []

    def goal(text, value, met):
        rows.append([text, value, "yes" if met else "**no**"])

    def compare(label, other, field, text, limit):
        if label in results and other in results:
            values = ratios(results[label], results[other], field)
            middle = statistics.median(values)
            goal(text, spread(values), middle <= limit if field == "cpu" else middle >= limit)

    compare("tidegate", best_rival(results, ""), "cpu", "plain: CPU ÷ best peer ≤ 1", 1.0)
    compare("tidegate+lua", "tidegate", "cpu", "policy: CPU with ÷ without ≤ 1.08", 1.08)
    for rival in RIVALS:
        compare("tidegate+lua", rival + "+lua", "requests_per_second",
                f"policy: req/s ÷ {rival} ≥ 1.6", 1.6)
        compare("tidegate+lua", rival + "+lua", "cpu",
                f"policy: CPU ÷ {rival} ≤ 1/1.6 = 0.625", 0.625)
    ours = figures.get("tidegate", {})
    if "syscalls" in ours:
        value = ours["syscalls"].data
        goal("data system calls/request ≤ 4.2", f"{value:.2f}", value <= 4.2)
    if "idle" in ours:
        goal("bytes/idle connection ≤ 600", f"{ours['idle']:,.0f}", ours["idle"] <= 600)
    if "startup" in ours:
        goal("start to first reply < 100 ms", f"{ours['startup']:.1f}", ours["startup"] < 100)
    return [f"## Goals\n\n{table(['goal', 'measured', 'met'], rows)}"] if rows else []


def markdown(facts, results, figures, how):
    parts = ["# Tidegate beside its peers", how, table(["machine", ""], facts)]
    parts += goals(results, figures) + throughput(results) + policy_cost(results)
    return "\n\n".join(parts + counts(figures)) + "\n"
