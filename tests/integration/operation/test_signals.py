# SPDX-License-Identifier: Apache-2.0
"""No signal ends the process but those that ask for it; those that pile up are one."""
import os
import pathlib
import re
import signal
import subprocess
import threading

import pytest

from support import config_for, eventually, scaled
from support.clock import BINARY
from support.proxy import Proxy

IGNORED = [signal.SIGPIPE, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR,
           signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGXFSZ, signal.SIGSTKFLT,
           signal.SIGRTMIN, signal.SIGRTMIN + 7, signal.SIGRTMAX]


def test_o4_usr1_opens_the_access_log_anew(proxy_to, connect):
    proxy = proxy_to(route={"echo": True}, log={"access": "access.log"})
    client = connect(proxy)
    client.get("/first")
    log, rotated = proxy.folder / "access.log", proxy.folder / "access.log.1"
    eventually(lambda: "/first" in log.read_text(encoding="utf-8"))
    log.rename(rotated)
    proxy.signal(signal.SIGUSR1)
    proxy.wait_for_log(message="log files opened anew")
    client.get("/second")
    eventually(lambda: log.exists() and "/second" in log.read_text(encoding="utf-8"))
    assert "/second" not in rotated.read_text(encoding="utf-8")


def test_o4_usr2_is_ignored_and_says_so(proxy_to, connect):
    proxy = proxy_to(route={"echo": True})
    client = connect(proxy)
    for count in range(1, 3):
        since = len(proxy.log_lines)
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for_log(message="signal ignored", signal="SIGUSR2", since=since)
    assert client.get("/").status == 200


def test_o4_quit_drains(origin, proxy_to, connect):
    release = threading.Event()
    origin.on("/slow", lambda exchange: (exchange.wait(release, 20), exchange.reply(body=b"finished")))
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_request("GET", "/slow")
    origin.wait_for_requests(1)
    proxy.signal(signal.SIGQUIT)
    proxy.wait_for_log(message="draining")
    assert proxy.admin("/ready").json()["reason"] == "draining"
    release.set()
    assert client.response().body == b"finished"
    assert proxy.wait_for_exit() == 0
    proxy.check_exit()


@pytest.mark.parametrize("number", IGNORED, ids=str)
def test_o4_other_signals_do_nothing(shared_proxy, number):
    shared_proxy.signal(number)
    assert shared_proxy.get("/").status == 200
    assert shared_proxy.process.poll() is None


@pytest.fixture(scope="module")
def shared_proxy():
    with Proxy(config_for(route={"echo": True})) as proxy:
        yield proxy


def blocked(pid):
    """The signals that the process holds back, one bit each."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^SigBlk:\s+(\w+)", text, re.M)[1], 16)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_o4_signals_wait_while_the_configuration_is_read(tmp_path, number):
    """They would end a process that has not come to watch them."""
    config = tmp_path / "tidegate.yaml"
    routes = "".join(f"  - {{match: {{path: /{n}}}, echo: true}}\n" for n in range(3000))
    config.write_text(f"listeners: [{{name: public, address: '127.0.0.1:0'}}]\nadmin: {{address: off}}\nroutes:\n{routes}")
    process = subprocess.Popen([str(BINARY), "run", "--config", str(config)], stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: os.path.basename(os.readlink(f"/proc/{process.pid}/exe")) == BINARY.name)
        eventually(lambda: blocked(process.pid) & 1 << (signal.SIGHUP - 1), what="signals wait")
        process.send_signal(number)
        expected = {signal.SIGHUP: b"configuration loaded", signal.SIGUSR1: b"log files opened anew",
                    signal.SIGUSR2: b"signal ignored"}[number]
        while expected not in (line := process.stderr.readline()):
            assert line, "the log ended before it"
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(scaled(10)) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def many_routes(count):
    config = config_for(route={"echo": True})
    config["routes"] = [{"name": f"r{n}", "match": {"path": f"/{n}"}, "echo": True} for n in range(count)] + config["routes"]
    return config


def reloads(proxy):
    return sum(line["message"] == "configuration loaded" for line in proxy.log_lines)


@pytest.mark.parametrize("count", [2, 10, 50])
def test_o17_hangups_that_come_while_one_is_served_are_one(tidegate, count):
    proxy = tidegate(many_routes(2000))
    proxy.signal(signal.SIGSTOP)
    eventually(proxy.stopped)
    for _ in range(count):
        proxy.signal(signal.SIGHUP)
    proxy.signal(signal.SIGCONT)
    proxy.wait_for_log(message="configuration loaded")
    for _ in range(count):
        proxy.signal(signal.SIGHUP)
    # What was asked for last has been done when the log says that it has been asked for nothing since.
    proxy.signal(signal.SIGUSR2)
    proxy.wait_for_log(message="signal ignored")
    proxy.stop()
    assert 1 <= reloads(proxy) <= 4, reloads(proxy)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_o17_a_signal_that_ends_the_process_goes_before_reloads(tidegate, end):
    proxy = tidegate(many_routes(2000))
    proxy.signal(signal.SIGSTOP)
    eventually(proxy.stopped)
    for _ in range(10):
        proxy.signal(signal.SIGHUP)
    proxy.signal(end)
    proxy.signal(signal.SIGCONT)
    assert proxy.wait_for_exit() == 0
    assert reloads(proxy) == 0
    proxy.check_exit()
