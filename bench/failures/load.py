# SPDX-License-Identifier: Apache-2.0
"""What bench_paced sent and what became of it."""
import collections
import dataclasses
import pathlib
import subprocess

BROKEN, UNANSWERED = 0, 1


@dataclasses.dataclass
class Load:
    """Requests as (when, status, latency), in microseconds."""
    requests: list
    latest: int  # how late the load itself was at worst

    @property
    def statuses(self):
        return collections.Counter(status for _, status, _ in self.requests)

    @property
    def failed(self):
        """How many did not get a 200."""
        return len(self.requests) - self.statuses[200]

    def failures(self):
        """As text: what the failed ones got."""
        names = {BROKEN: "broken off", UNANSWERED: "unanswered"}
        return ", ".join(f"{count} {names.get(status, status)}"
                         for status, count in sorted(self.statuses.items()) if status != 200) or "none"

    def latency(self, share):
        """Milliseconds that this share of the requests did not exceed."""
        latencies = sorted(latency for _, _, latency in self.requests)
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))] / 1000

    def windows(self, status=200, step=10_000, width=1_000_000):
        """How many requests with that status were sent in each second, one beginning at every 10 ms.
        Not of the first and the last second."""
        times = [when for when, got, _ in self.requests if got == status]
        counts, low, high = [], 0, 0
        for begin in range(width, self.requests[-1][0] - 2 * width + 1, step):
            while low < len(times) and times[low] < begin:
                low += 1
            while high < len(times) and times[high] < begin + width:
                high += 1
            counts.append(high - low)
        return counts


class PacedLoad:
    """Runs beside what the runner does meanwhile; `finish()` gives the Load."""

    def __init__(self, programs, port, rate, seconds, connections=64, path="/"):
        command = [pathlib.Path(programs) / "bench_paced", port, rate, seconds, connections, path]
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def finish(self):
        output, errors = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(f"bench_paced: {errors}")
        requests = [tuple(map(int, line.split())) for line in output.splitlines()]
        return Load(requests, int(errors))


def paced(*args, **kwargs):
    return PacedLoad(*args, **kwargs).finish()
