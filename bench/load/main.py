#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench: Tidegate, nginx, HAProxy and a bare relay, side by side on this machine."""
import argparse
import os
import sys

import chart
import counts
import idle
import machine
import peers
import process
import protocol_report
import protocols
import report
import rounds

PARTS = ("plain", "lua", "protocols", "syscalls", "instructions", "idle", "startup")
COUNTED = PARTS[3:]


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS",
                        help="comma list of " + ", ".join(PARTS))
    parser.add_argument("--peers", default="", metavar="NAMES",
                        help="comma list of tidegate, nginx, haproxy, relay, and for protocols "
                        "nghttpx; h2o where H2O_BINARY names it; default: all")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=2, help="of each run in a round")
    parser.add_argument("--path", default="/", help="for plain and lua: /size/N asks for N bytes")
    parser.add_argument("--workloads", default="", metavar="NAMES", help="of part protocols: comma list "
                        "of " + ", ".join(workload.name for workload in protocols.WORKLOADS))
    parser.add_argument("--protocol-rounds", type=int, default=5)
    options = parser.parse_args()
    options.only = options.only.split(",")
    options.workloads = [name for name in options.workloads.split(",") if name]
    options.peers = [name for name in options.peers.split(",") if name]
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if unknown := set(options.peers) - {*peers.PROXIES, "nghttpx", "relay"}:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    return options


def say(line):
    print(line, file=sys.stderr, flush=True)


def count(part, peer, figure):
    """Adds what `part` measures of one peer to its figures."""
    if part == "syscalls":
        figure[part] = counts.system_calls(peer)
    elif part == "instructions":
        figure[part] = counts.instructions(peer)
    elif part == "idle" and peer.name != "relay":   # holds two descriptors a client
        figure[part], _ = idle.bytes_per_connection(peer)
    elif part == "startup":
        figure[part] = idle.startup_milliseconds(peer)


def measure(options, origin):
    modes = [mode for mode in ("plain", "lua") if mode in options.only]
    results = {}
    if modes:
        chosen = peers.all_peers(origin, modes, options.peers)
        results = rounds.run(chosen, options, say)
    figures = {}
    by_workload = protocols.run(origin, options, say) if "protocols" in options.only else {}
    counted = [part for part in COUNTED if part in options.only]
    for peer in peers.all_peers(origin, modes or ("plain", "lua"), options.peers):
        for part in counted:
            say(f"{part}: {peer.label}")
            count(part, peer, figures.setdefault(peer.label, {}))
    idle_protocols = idle.by_protocol(origin, options.peers, say) if "idle" in options.only else {}
    return results, figures, by_workload, idle_protocols


def how(options):
    return (f"Written by `./dev bench`. One proxy worker on core {process.PROXY_CORE}; wrk "
            f"({rounds.CONNECTIONS} connections, one thread) and the origin (128-byte replies) on "
            f"core {process.LOAD_CORE}. Medians of {options.rounds} interleaved rounds of "
            f"{options.seconds} s; ratios are taken within each round, with their lowest and "
            "highest in brackets. Counts are of 32 connections in steady state: strace, callgrind, "
            "10,000 idle clients, and the median of 20 starts. Protocol workloads are h2load's, "
            f"{options.protocol_rounds} rounds.")


def main():
    options = arguments()
    if os.cpu_count() < 2:
        sys.exit("bench: needs two cores, one for the proxy and one for the load")
    facts = machine.facts()
    os.sched_setaffinity(0, {process.LOAD_CORE})
    origin = peers.Origin()
    try:
        results, figures, by_workload, idle_protocols = measure(options, origin)
    finally:
        origin.stop()
    text = report.markdown(facts, results, figures, how(options))
    text += protocol_report.markdown(by_workload, idle_protocols)
    complete = set(options.only) == set(PARTS) and not options.peers and not options.workloads
    folder = peers.ROOT / "bench" if complete else peers.WORK
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")
    if results:
        (folder / "results.svg").write_text(chart.svg(results), encoding="utf-8")
    print(text)
    say(f"written: {folder / 'RESULTS.md'}")


if __name__ == "__main__":
    main()
