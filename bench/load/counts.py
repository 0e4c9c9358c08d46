# SPDX-License-Identifier: Apache-2.0
"""What does not depend on the machine's mood: system calls and instructions per request."""
import dataclasses
import os
import re
import signal
import subprocess
import time

import client
import peers as programs
import process

CONNECTIONS = 32
DATA_CALLS = {"read", "readv", "recvfrom", "recvmsg", "recvmmsg", "write", "writev", "sendto",
              "sendmsg", "sendmmsg", "splice", "sendfile", "sendfile64"}
WAIT_CALLS = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}


@dataclasses.dataclass
class SystemCalls:
    """Calls per request in steady state: no connection opens or closes meanwhile."""
    data: float
    wait: float
    other: float
    names: dict


def parse_strace(text, requests):
    calls = {}
    for line in text.splitlines():
        row = re.fullmatch(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)", line)
        if row and row[2] != "total":
            calls[row[2]] = int(row[1]) / requests
    data = sum(count for name, count in calls.items() if name in DATA_CALLS)
    wait = sum(count for name, count in calls.items() if name in WAIT_CALLS)
    other = sum(count for name, count in calls.items() if name not in DATA_CALLS | WAIT_CALLS)
    return SystemCalls(data, wait, other, calls)


def is_traced(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return any(line.split() != ["TracerPid:", "0"] for line in status
                   if line.startswith("TracerPid:"))


def system_calls(peer, requests=20000):
    table = programs.WORK / f"{peer.label}.strace"
    table.unlink(missing_ok=True)
    peer.start()
    clients = client.Clients(peer.port, CONNECTIONS)
    clients.run(requests // 10)
    pids = process.tree(peer.process.pid)
    attach = [word for pid in pids for word in ("-p", str(pid))]
    strace = process.start(["strace", "-c", "-f", "-o", str(table), *attach],
                           process.LOAD_CORE, peer.log)
    try:
        while not all(is_traced(pid) for pid in pids):
            if strace.poll() is not None:
                raise RuntimeError(f"strace cannot attach: {peer.log.read_text()[-500:]}")
            time.sleep(0.01)
        clients.run(requests)
    finally:
        process.stop(strace, signal.SIGINT)
        clients.close()
        peer.stop()
    return parse_strace(table.read_text(), requests)


def callgrind_control(option, pid):
    done = subprocess.run(["callgrind_control", option, str(pid)], check=False,
                          capture_output=True, text=True)
    if done.returncode != 0 or "OK" not in done.stdout:
        raise RuntimeError(f"callgrind_control {option}: {done.stdout}{done.stderr}")


def single_process(peer):
    """nginx without its master: callgrind counts one process."""
    return ["-g", "master_process off;"] if peer.name == "nginx" else []


def instructions(peer, requests=4000):
    """User instructions per request; the profile stays in build/bench/LABEL.callgrind."""
    profile = programs.WORK / f"{peer.label}.callgrind"
    for old in programs.WORK.glob(f"{peer.label}.callgrind*"):
        old.unlink()
    peer.start(["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"],
               single_process(peer))
    clients = client.Clients(peer.port, CONNECTIONS)
    try:
        clients.run(requests // 4)
        callgrind_control("--zero", peer.process.pid)
        clients.run(requests)
        callgrind_control("--dump", peer.process.pid)
    finally:
        clients.close()
        peer.process.kill()
        peer.process.wait()
    dump = profile.with_name(profile.name + ".1")
    os.replace(dump, profile)
    total = re.search(r"^(?:summary|totals): (\d+)", profile.read_text(errors="replace"), re.M)
    return int(total[1]) / requests
