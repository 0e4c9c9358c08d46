# SPDX-License-Identifier: Apache-2.0
"""A name server that takes questions and never answers: what the proxy does meanwhile."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from support import config_for, eventually, scaled

# Without threads for lookups each name would hold up the control thread for a minute.
PATIENCE = "options timeout:30 attempts:2\n"


class SilentNameServer:
    """Listens where resolv.conf says, and counts what it is asked."""

    def __init__(self):
        self.address = f"127.53.{os.getpid() >> 8 & 0xff}.{os.getpid() & 0xff or 1}"
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 53))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while question := self._socket.recv(512):
            self.asked.append(question)

    def was_asked_for(self, label):
        return any(bytes([len(label)]) + label.encode() in question for question in self.asked)

    def close(self):
        self._socket.sendto(b"", self._socket.getsockname())  # wakes the thread
        self._thread.join()
        self._socket.close()


@pytest.fixture
def silent():
    try:
        server = SilentNameServer()
    except PermissionError:
        pytest.skip("no leave for port 53")
    yield server
    server.close()


@pytest.fixture
def asking_it(silent, tmp_path):
    """How to run a program whose name server is the silent one."""
    resolv, nsswitch = tmp_path / "resolv.conf", tmp_path / "nsswitch.conf"
    resolv.write_text(f"nameserver {silent.address}\n{PATIENCE}", encoding="ascii")
    nsswitch.write_text("hosts: files dns\n", encoding="ascii")
    prefix = ["unshare", "--mount", "sh", "-c", f"mount --bind {resolv} /etc/resolv.conf && "
              f'mount --bind {nsswitch} /etc/nsswitch.conf && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no leave for a mount namespace")
    return prefix


def checks(origin):
    return origin.paths().count("/check")


def stays_responsive(proxy, origin, silent, label):
    """While a lookup hangs: /health answers, requests pass, and health checks go on."""
    eventually(lambda: silent.was_asked_for(label))
    before = checks(origin)
    for _ in range(3):
        begin = time.monotonic()
        assert proxy.admin("/health").status == 200
        assert time.monotonic() - begin < scaled(1)
        assert proxy.get("/").status == 200
    eventually(lambda: checks(origin) >= before + 3)


def ends_promptly(proxy):
    begin = time.monotonic()
    proxy.stop(timeout=10)
    assert time.monotonic() - begin < scaled(2)


def watched(origin, *more):
    config = config_for(origin, *more, cluster={
        "health_check": {"path": "/check", "interval": "50ms", "timeout": "5s"}})
    config["clusters"]["other"] = {"file": "endpoints.yaml"}
    return config


@pytest.fixture
def running(tidegate, make_origin, asking_it):
    origin = make_origin()
    proxy = tidegate(watched(origin), {"endpoints.yaml": json.dumps([origin.url])}, prefix=asking_it)
    eventually(lambda: checks(origin) >= 1)
    return proxy, origin


def by_reload(proxy, origin, hosts):
    config = watched(origin)
    config["clusters"]["more"] = {"endpoints": [f"http://{host}:80" for host in hosts]}
    config["routes"].insert(0, {"name": "more", "match": {"path": "/more"}, "cluster": "more"})
    since = len(proxy.log_lines)
    begin = time.monotonic()
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="configuration loaded", since=since)
    assert time.monotonic() - begin < scaled(2)


def by_file(proxy, origin, hosts):
    since = len(proxy.log_lines)
    begin = time.monotonic()
    proxy.write_script("endpoints.yaml", json.dumps([origin.url, *(f"http://{host}:80" for host in hosts)]))
    proxy.wait_for_log(message="endpoints changed", cluster="other", since=since)
    assert time.monotonic() - begin < scaled(2)


# Forty are more than there are threads for lookups: the rest wait in a queue, and nothing else does.
@pytest.mark.parametrize("hosts", [["silent1.test"], [f"silent{n}.test" for n in range(1, 41)]],
                         ids=["one name", "forty names"])
@pytest.mark.parametrize("change", [by_reload, by_file])
def test_o5_names_that_nobody_answers_for_hold_up_nothing(running, silent, change, hosts):
    proxy, origin = running
    change(proxy, origin, hosts)
    stays_responsive(proxy, origin, silent, "silent1")
    ends_promptly(proxy)


def test_o5_a_reload_and_a_file_that_change_while_lookups_hang(running, silent):
    proxy, origin = running
    by_file(proxy, origin, ["first.test"])
    stays_responsive(proxy, origin, silent, "first")
    by_reload(proxy, origin, ["second.test"])
    by_file(proxy, origin, ["third.test"])
    stays_responsive(proxy, origin, silent, "third")
    ends_promptly(proxy)


def test_o5_a_start_with_such_a_name_can_be_stopped(tidegate, make_origin, silent, asking_it):
    origin = make_origin()
    config = watched(origin, "http://silent.test:80")
    config["admin"]["address"] = "off"  # which opens only when the names have been asked for
    proxy = tidegate(config, {"endpoints.yaml": json.dumps([origin.url])}, prefix=asking_it)
    eventually(lambda: silent.was_asked_for("silent"))
    ends_promptly(proxy)
