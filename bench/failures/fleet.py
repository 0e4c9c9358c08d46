# SPDX-License-Identifier: Apache-2.0
"""Origins that are processes of their own, to be killed and started again."""
import contextlib
import mmap
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

FIRST_ID = 64  # counted_origin.cc says where what is counted stands


def hold_port():
    """A port nobody else gets while the socket is open, though an origin may listen on it: without an
    origin it refuses connections."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


class Fleet:
    """`count` counted origins. `delays` (µs) and `status` are of every answer; a single delay stands
    for all. `ids`: so many POSTs can be told apart."""

    def __init__(self, programs, count, delays=0, status=200, ids=0):
        self.program = pathlib.Path(programs) / "bench_counted_origin"
        self.delays = [delays] * count if isinstance(delays, int) else delays
        self.status = status
        self.holders = [hold_port() for _ in range(count)]
        self.ports = [holder.getsockname()[1] for holder in self.holders]
        self.processes = [None] * count
        self.file = tempfile.NamedTemporaryFile(prefix="tidegate-counts-")
        self.file.truncate(FIRST_ID + ids)
        self.counts = mmap.mmap(self.file.fileno(), FIRST_ID + ids)

    def __enter__(self):
        for index in range(len(self.ports)):
            self.start(index)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process:
                process.kill()
                process.wait()
        for holder in self.holders:
            holder.close()
        self.counts.close()
        self.file.close()

    def start(self, index):
        """Returns when it listens."""
        command = [self.program, self.ports[index], self.file.name, self.delays[index], self.status]
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
        self.processes[index] = process
        with process.stdout as output:
            if output.readline() != b"listening\n":
                raise RuntimeError(f"{command} did not start")

    def end(self, index, number):
        """Sends the signal and waits for the end."""
        process = self.processes[index]
        process.send_signal(number)
        process.wait(10)
        self.processes[index] = None

    @property
    def urls(self):
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def requests(self):
        """GETs that origins saw."""
        return int.from_bytes(self.counts[:8], "little")

    def executed(self):
        """{times: number of POSTs that were executed so often}, without those never executed."""
        counted = self.counts[FIRST_ID:]
        return {times: counted.count(times) for times in set(counted) if times}

    def kill_in_turn(self, until, period=1.0, dead=0.5):
        """Each `period` one of them dies by SIGKILL and is back `dead` seconds later; how many did."""
        return self._in_turn(until, period, dead, lambda number: signal.SIGKILL)

    def restart_all(self, number, pause=0.1, dead=0.1):
        """Ends each by the signal and starts it again, one after the other."""
        for index in range(len(self.ports)):
            self.end(index, number)
            time.sleep(dead)
            self.start(index)
            time.sleep(pause)

    def _in_turn(self, until, period, dead, signal_of):
        killed = 0
        next_one = time.monotonic() + period / 4
        while next_one + dead < until:
            time.sleep(max(0, next_one - time.monotonic()))
            index = killed % len(self.ports)
            self.end(index, signal_of(killed))
            killed += 1
            time.sleep(dead)
            self.start(index)
            next_one += period
        return killed


@contextlib.contextmanager
def refusing(count):
    """URLs where nothing listens."""
    holders = [hold_port() for _ in range(count)]
    yield [f"http://127.0.0.1:{holder.getsockname()[1]}" for holder in holders]
    for holder in holders:
        holder.close()
