# SPDX-License-Identifier: Apache-2.0
"""What logs are written to fails, fills up or has no reader: the proxy serves on, and ends when told to."""
import contextlib
import fcntl
import json
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess

import pytest

from support import Client, admin, config_for, eventually, scaled
from support.clock import BINARY

F_SETPIPE_SZ = 1031


class Bare:
    """A proxy whose standard output and error are the test's to give."""

    def __init__(self, folder, config, **popen):
        self.folder = folder
        (folder / "tidegate.yaml").write_text(json.dumps(config), encoding="utf-8")
        self.process = subprocess.Popen([str(BINARY), "run", "--config", str(folder / "tidegate.yaml")],
                                        stdin=subprocess.DEVNULL, cwd=folder, **popen)
        self.addresses = {}

    def read_addresses(self, stream, names=("public", "admin")):
        """From the log, up to the line that says the last of them."""
        poll, text = select.poll(), b""
        poll.register(stream, select.POLLIN)
        while not set(names) <= set(self.addresses):
            assert poll.poll(scaled(10) * 1000), text
            more = os.read(stream.fileno(), 65536)
            assert more, text
            text += more
            for line in text.splitlines():
                with contextlib.suppress(ValueError):
                    said = json.loads(line)
                    if said.get("message") == "listening":
                        self.addresses[said["listener"]] = int(said["address"].rpartition(":")[2])
        return self

    def get(self, path="/"):
        with Client(self.addresses["public"]) as client:
            return client.get(path)

    def admin(self, path, method="GET"):
        return admin.call(self.addresses["admin"], method, path)

    def metrics(self):
        return admin.Metrics(self.admin("/metrics").text)

    def expect_end(self, within=5):
        assert self.process.wait(scaled(within)) == 0


@pytest.fixture
def bare(tmp_path):
    running = []

    def start(config, **popen):
        running.append(Bare(tmp_path, config, **popen))
        return running[-1]
    yield start
    for proxy in running:
        if proxy.process.poll() is None:
            proxy.process.kill()
        proxy.process.wait()


def talkative(**more):
    """Each request writes a log line of `size` bytes."""
    return config_for(route={"echo": True}, policies={"talks": "talks.lua"}, **more)


def write_talks(folder, size=10):
    (folder / "talks.lua").write_text(
        f"function on_request(request) proxy.log.info(string.rep('x', {size})) end", encoding="utf-8")


@pytest.fixture
def stderr_pair(request):
    """Two ends of what standard error can be."""
    if request.param == "socket":
        ours, theirs = socket.socketpair()
        yield ours, theirs
        ours.close()
        theirs.close()
        return
    read, write = os.pipe()
    if request.param == "small pipe":
        fcntl.fcntl(write, F_SETPIPE_SZ, 4096)
    with open(read, "rb", buffering=0) as ours, open(write, "wb", buffering=0) as theirs:
        yield ours, theirs


KINDS = pytest.mark.parametrize("stderr_pair", ["pipe", "small pipe", "socket"], indirect=True)


@KINDS
def test_o2_the_reader_of_standard_error_goes_away(bare, tmp_path, stderr_pair):
    ours, theirs = stderr_pair
    write_talks(tmp_path)
    proxy = bare(talkative(log={"access": "off"}), stdout=subprocess.DEVNULL, stderr=theirs)
    theirs.close()
    proxy.read_addresses(ours)
    ours.close()
    for _ in range(3):
        assert proxy.get().status == 200
        assert proxy.admin("/reload", "POST").json() == {"reloaded": True}
    eventually(lambda: proxy.metrics()("proxy_log_dropped_total") >= 3)
    proxy.process.send_signal(signal.SIGTERM)
    proxy.expect_end()


@pytest.mark.parametrize("target", ["stdout", "stderr", "fifo"])
def test_o2_the_reader_of_the_access_log_goes_away(bare, tmp_path, target):
    fifo = tmp_path / "access.log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log, log_end = os.pipe()
    out, out_end = os.pipe()
    proxy = bare(config_for(route={"echo": True}, log={"access": str(fifo) if target == "fifo" else target}),
                 stdout=out_end, stderr=log_end)
    os.close(out_end)
    os.close(log_end)
    with open(log, "rb", buffering=0) as stream:
        proxy.read_addresses(stream)
        if target == "stderr":
            stream.close()
        os.close(out)
        os.close(reader)
        for _ in range(3):
            assert proxy.get().status == 200
        eventually(lambda: proxy.metrics()("proxy_access_log_dropped_total", default=0) >= 3)
        proxy.process.send_signal(signal.SIGTERM)
        proxy.expect_end()


@pytest.mark.parametrize(("stderr_pair", "signals"), [("pipe", 1), ("pipe", 2), ("small pipe", 2), ("socket", 2)],
                         indirect=["stderr_pair"])
def test_o3_nobody_reads_standard_error(bare, tmp_path, stderr_pair, signals):
    ours, theirs = stderr_pair
    write_talks(tmp_path, size=3000)
    proxy = bare(talkative(log={"access": "stderr"}), stdout=subprocess.DEVNULL, stderr=theirs)
    theirs.close()
    proxy.read_addresses(ours)
    with Client(proxy.addresses["public"]) as client:
        for _ in range(200):
            assert client.get("/").status == 200
    for _ in range(signals):
        proxy.process.send_signal(signal.SIGTERM)
    proxy.expect_end()


def test_o3_a_slow_reader_still_gets_what_was_written_before_the_end(bare, tmp_path):
    write_talks(tmp_path, size=3000)
    proxy = bare(talkative(log={"access": "off"}), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    proxy.read_addresses(proxy.process.stderr)
    with Client(proxy.addresses["public"]) as client:
        for _ in range(100):  # 300 KB, of which the pipe holds 64
            assert client.get("/").status == 200
    proxy.process.send_signal(signal.SIGTERM)
    text = proxy.process.stderr.read()
    proxy.expect_end()
    assert text.count(b"x" * 3000) == 100
    assert b'"drained"' in text.splitlines()[-1]


@pytest.mark.parametrize("closed", [(2,), (1, 2), (0, 1, 2)])
def test_o2_a_closed_standard_error_is_no_connection_of_a_client(bare, closed):
    """The next file or connection that opens would get its number, and the log lines."""
    config = config_for(route={"echo": True}, log={"access": "off"})
    proxy = bare(config, preexec_fn=lambda: [os.close(number) for number in closed])
    process = pathlib.Path(f"/proc/{proxy.process.pid}")
    eventually(lambda: any("socket:" in os.readlink(file) for file in (process / "fd").iterdir()))
    assert {os.readlink(process / "fd" / str(number)) for number in closed} == {"/dev/null"}
    proxy.process.send_signal(signal.SIGTERM)
    proxy.expect_end()


@pytest.mark.parametrize("access", ["/dev/full", "too-long.log"])
def test_o2_a_full_disk_loses_lines_and_nothing_else(bare, tmp_path, access):
    """At the limit of a file's size, a write raises SIGXFSZ."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
    proxy = bare(config_for(route={"echo": True}, log={"access": access}), stdout=subprocess.DEVNULL,
                 stderr=subprocess.PIPE, preexec_fn=limit if access == "too-long.log" else None)
    proxy.read_addresses(proxy.process.stderr)
    for _ in range(10):
        assert proxy.get().status == 200
    eventually(lambda: proxy.metrics()("proxy_access_log_dropped_total", default=0) >= 5)
    proxy.process.send_signal(signal.SIGTERM)
    assert b"access log cannot be written" in proxy.process.stderr.read()
    proxy.expect_end()


def test_o2_standard_error_is_a_full_disk(bare):
    with open("/dev/full", "wb") as full:
        proxy = bare(config_for(listener={"address": "unix:public.sock"}, route={"echo": True},
                                admin={"address": "unix:admin.sock"}),
                     stdout=subprocess.DEVNULL, stderr=full)
    eventually((proxy.folder / "public.sock").exists)
    proxy.process.send_signal(signal.SIGTERM)
    proxy.expect_end()


def test_o2_the_folder_of_the_access_log_is_removed_and_comes_back(proxy_to, connect):
    proxy = proxy_to(route={"echo": True}, log={"access": "logs/access.log"}, scripts={"logs/access.log": ""})
    client = connect(proxy)
    (proxy.folder / "logs/access.log").unlink()
    (proxy.folder / "logs").rmdir()
    proxy.signal(signal.SIGUSR1)
    assert client.get("/into-nowhere").status == 200
    proxy.wait_for_log(message="access log cannot be reopened")
    (proxy.folder / "logs").mkdir()
    proxy.signal(signal.SIGUSR1)
    eventually((proxy.folder / "logs/access.log").exists)
    assert client.get("/found-again").status == 200
    eventually(lambda: '"/found-again"' in (proxy.folder / "logs/access.log").read_text(encoding="utf-8"))
