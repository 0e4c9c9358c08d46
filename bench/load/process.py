# SPDX-License-Identifier: Apache-2.0
"""Processes as the bench needs them: pinned to a core, and read through /proc."""
import os
import resource
import signal
import socket
import subprocess

PROXY_CORE = 0
LOAD_CORE = 1
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def descriptor_limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def raise_descriptor_limit():
    hard = descriptor_limit()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def start(command, core, log_path):
    """Starts a command pinned to one core; what it prints goes to a file."""
    def prepare():
        os.sched_setaffinity(0, {core})
        raise_descriptor_limit()
    with open(log_path, "ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                preexec_fn=prepare)


def stop(process, sig=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tree(pid):
    """The pid and all below it: nginx works in a child."""
    pids = [pid]
    for at in pids:
        for task in os.listdir(f"/proc/{at}/task"):
            with open(f"/proc/{at}/task/{task}/children", encoding="ascii") as children:
                pids += [int(child) for child in children.read().split()]
    return pids


def cpu_seconds(pid):
    """(user, system) seconds of a process tree with all its threads."""
    user = system = 0
    for at in tree(pid):
        with open(f"/proc/{at}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        user += int(fields[11])
        system += int(fields[12])
    return user / TICKS, system / TICKS


def resident_bytes(pid):
    total = 0
    for at in tree(pid):
        with open(f"/proc/{at}/smaps_rollup", encoding="ascii") as rollup:
            total += sum(int(line.split()[1]) for line in rollup if line.startswith("Rss:"))
    return total * 1024
