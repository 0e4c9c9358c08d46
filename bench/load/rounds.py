# SPDX-License-Identifier: Apache-2.0
"""Throughput, CPU per request and latency: short wrk runs, peer after peer, round after round."""
import dataclasses
import os
import re
import subprocess

import client
import process

CONNECTIONS = 32
UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}


@dataclasses.dataclass
class Run:
    """What one peer did in one round; times in microseconds."""
    requests_per_second: float
    user: float
    system: float
    p50: float
    p99: float
    errors: int

    @property
    def cpu(self):
        return self.user + self.system


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def wrk(port, path, seconds):
    command = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--latency"]
    for name, value in client.REQUEST_HEADERS.items():
        command += ["-H", f"{name}: {value}"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"], check=True, capture_output=True, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {process.LOAD_CORE}))
    return done.stdout


def found(pattern, text):
    match = re.search(pattern, text)
    return match.groups() if match else None


def errors_in(output):
    socket_errors = found(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output) or ()
    refused = found(r"Non-2xx or 3xx responses: (\d+)", output) or ()
    return sum(int(count) for count in (*socket_errors, *refused))


def measure(peer, path, seconds):
    pid = peer.process.pid
    user_before, system_before = process.cpu_seconds(pid)
    output = wrk(peer.port, path, seconds)
    user_after, system_after = process.cpu_seconds(pid)
    requests = int(found(r"(\d+) requests in", output)[0])
    return Run(requests_per_second=float(found(r"Requests/sec: +([\d.]+)", output)[0]),
               user=(user_after - user_before) * 1e6 / requests,
               system=(system_after - system_before) * 1e6 / requests,
               p50=microseconds(found(r"50% +(\S+)", output)[0]),
               p99=microseconds(found(r"99% +(\S+)", output)[0]),
               errors=errors_in(output))


def run(peers, options, say):
    """{label: [Run per round]}; all peers stay up, one at a time is loaded."""
    try:
        for peer in peers:
            peer.start().check()
            wrk(peer.port, options.path, 1)
        results = {peer.label: [] for peer in peers}
        for number in range(options.rounds):
            for peer in peers:
                result = measure(peer, options.path, options.seconds)
                results[peer.label].append(result)
                say(f"round {number + 1}/{options.rounds}  {peer.label:13} "
                    f"{result.requests_per_second:8,.0f} req/s  {result.cpu:5.2f} µs CPU")
        return results
    finally:
        for peer in peers:
            if peer.process:
                peer.stop()
