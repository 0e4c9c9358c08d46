# SPDX-License-Identifier: Apache-2.0
"""The protocol workloads as Markdown; ratios within a round, as in report.py."""
import statistics

import report


def best_rival(by_peer):
    rivals = {name: runs for name, runs in by_peer.items() if name != "tidegate"}
    return min(rivals, key=lambda name: report.median(rivals[name], "cpu"), default=None)


def workload_part(workload, by_peer):
    best = best_rival(by_peer)
    unit = "MB" if workload.megabytes else "request"
    rows = []
    for name, runs in by_peer.items():
        row = [name, f"{report.median(runs, 'units_per_second'):,.0f}"]
        row += [f"{report.median(runs, field):,.2f}" for field in ("cpu", "user", "system")]
        row.append(sum(run.failed for run in runs))
        for field in ("units_per_second", "cpu"):
            row.append(report.spread(report.ratios(runs, by_peer[best], field)) if best else "")
        rows.append(row)
    header = ["", f"{'MB' if workload.megabytes else 'req'}/s", f"CPU µs/{unit}", "user", "system", "failed",
              f"rate ÷ {best}", f"CPU ÷ {best}"]
    return f"## {workload.title}\n\n{report.table(header, rows)}"


def goals(by_workload):
    """At least level with the best peer in CPU, in each."""
    rows = []
    for workload, by_peer in by_workload.items():
        best = best_rival(by_peer)
        if best is None or "tidegate" not in by_peer:
            continue
        ratios = report.ratios(by_peer["tidegate"], by_peer[best], "cpu")
        met = statistics.median(ratios) <= 1
        rows.append([f"{workload.name}: CPU ÷ best peer ({best}) ≤ 1", report.spread(ratios),
                     "yes" if met else "**no**"])
    return [f"## Goals of the protocols\n\n{report.table(['goal', 'measured', 'met'], rows)}"] if rows else []


def idle_part(idle):
    """idle: {kind: {peer: bytes}}."""
    if not idle:
        return []
    names = list(next(iter(idle.values())))
    rows = [[kind] + [f"{by_peer[name]:,.0f}" if name in by_peer else "" for name in names]
            for kind, by_peer in idle.items()]
    return [f"## Bytes per idle connection\n\n{report.table(['', *names], rows)}"]


def markdown(by_workload, idle):
    parts = goals(by_workload) + [workload_part(*item) for item in by_workload.items()] + idle_part(idle)
    return "".join(f"\n{part}\n" for part in parts)
