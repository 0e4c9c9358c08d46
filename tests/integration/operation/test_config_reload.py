# SPDX-License-Identifier: Apache-2.0
"""The config file itself can be reloaded; one that does not validate changes nothing."""
import os
import signal
import threading

import pytest

from support import config_for, eventually
from support.proxy import MEASURES_MEMORY


def responding(text, **more):
    return config_for(route={"respond": {"status": 200, "body": text}}, **more)


def reload(proxy, config):
    """Writes the config, sends SIGHUP and waits until it is in use."""
    since = len(proxy.log_lines)
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    return proxy.wait_for_log(message="configuration loaded", since=since)


def reload_refused(proxy, config):
    since = len(proxy.log_lines)
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    line = proxy.wait_for_log(message="reload refused", since=since)
    assert line["level"] == "error"
    return line["error"]


def test_sighup_takes_new_routes_in(tidegate, connect):
    proxy = tidegate(responding("one"))
    client = connect(proxy)
    assert client.get("/").text == "one"
    reload(proxy, responding("two"))
    eventually(lambda: connect(proxy).get("/").text == "two")
    assert client.get("/").text == "two", "a connection that was open sees it with its next request"


def test_a_config_that_does_not_validate_changes_nothing(tidegate, connect):
    proxy = tidegate(responding("one"))
    client = connect(proxy)
    assert client.get("/").text == "one"
    assert "tidegate.yaml:1" in reload_refused(proxy, "workers: many\n")
    assert client.get("/").text == "one"
    assert connect(proxy).get("/").text == "one"
    reload(proxy, responding("mended"))
    eventually(lambda: client.get("/").text == "mended")


def test_a_config_with_a_broken_script_changes_nothing(tidegate, connect):
    policy = "function on_request(r) r:reply(200, '{}') end"
    config = config_for(policies={"policy": "policy.lua"}, route={"echo": True})
    proxy = tidegate(config, {"policy.lua": policy.format("one")})
    assert connect(proxy).get("/").text == "one"
    proxy.write_script("other.lua", "this is no lua")
    config["policies"]["policy"]["script"] = "other.lua"
    assert "other.lua:1" in reload_refused(proxy, config)
    assert connect(proxy).get("/").text == "one"


def test_the_admin_address_reloads_the_config_and_tells_what_is_wrong(tidegate, connect):
    proxy = tidegate(responding("one"))
    proxy.write_config("workers: many\n")
    reply = proxy.admin("/reload", "POST")
    assert 400 <= reply.status < 600 and "tidegate.yaml:1" in reply.text, reply
    proxy.write_config(responding("two"))
    assert proxy.admin("/reload", "POST").status == 200
    eventually(lambda: connect(proxy).get("/").text == "two")


def test_an_exchange_finishes_on_the_config_it_began_with(origin, tidegate, connect):
    release = threading.Event()
    origin.on("/slow", lambda exchange: (exchange.wait(release), exchange.reply(body=b"from the old")))
    proxy = tidegate(config_for(origin))
    slow = connect(proxy)
    slow.send_request("GET", "/slow")
    origin.wait_for_requests(1)
    reload(proxy, responding("from the new"))
    eventually(lambda: connect(proxy).get("/").text == "from the new")
    release.set()
    assert slow.response().text == "from the old"
    assert slow.get("/").text == "from the new"


def test_endpoints_come_and_go(make_origin, tidegate, connect):
    origins = [make_origin(name) for name in "abc"]
    proxy = tidegate(config_for(*origins[:2]))
    client = connect(proxy)
    for _ in range(4):
        assert client.get("/").status == 200
    reload(proxy, config_for(*origins[1:]))
    eventually(lambda: client.get("/x").status == 200 and origins[2].requests)
    before = len(origins[0].requests)
    for _ in range(6):
        assert client.get("/").status == 200
    assert len(origins[0].requests) == before
    assert origins[1].connections == 1, "an endpoint that stays keeps its connections"
    origins[0].wait_until_open(0)


def test_a_listener_can_be_added_and_removed(tidegate, connect):
    proxy = tidegate(responding("one"))
    config = responding("one")
    config["listeners"].append({"name": "second", "address": "127.0.0.1:0"})
    reload(proxy, config)
    proxy.wait_for_log(message="listening", listener="second")
    second = proxy.port("second")
    assert connect(proxy, "second").get("/").text == "one"
    reload(proxy, responding("one"))

    def refused():
        try:
            connect(proxy, "second").close()
        except ConnectionRefusedError:
            return True
        return False
    assert second and eventually(refused)
    assert connect(proxy).get("/").text == "one"


def test_a_listener_that_stays_keeps_its_port_and_connections(tidegate, connect):
    proxy = tidegate(responding("one"))
    client, port = connect(proxy), proxy.port()
    assert client.get("/").text == "one"
    for number in range(3):
        reload(proxy, responding(f"number {number}"))
    assert proxy.port() == port
    eventually(lambda: client.get("/").text == "number 2")


@pytest.mark.slow
def test_many_config_reloads_leave_nothing_behind(origin, tidegate, connect):
    proxy = tidegate(config_for(origin, log={"access": "off"}))
    client = connect(proxy)

    def many(times):
        for _ in range(times):
            assert proxy.admin("/reload", "POST").status == 200
            assert client.get("/").status == 200
    many(20)
    memory, descriptors = proxy.memory_kib(), proxy.descriptors()
    many(200)
    if MEASURES_MEMORY:
        assert proxy.memory_kib() - memory < 4096
    assert proxy.descriptors() <= descriptors + 2


@pytest.mark.parametrize("target", ["missing/access.log", "pipe", "folder"])
def test_o14_an_access_log_that_cannot_be_opened_changes_nothing(tidegate, connect, target):
    proxy = tidegate(responding("one"))
    os.mkfifo(proxy.folder / "pipe")  # which nobody reads
    (proxy.folder / "folder").mkdir()
    proxy.write_config(responding("two", log={"access": target}))
    reply = proxy.admin("/reload", "POST")
    assert reply.status == 422 and "access log" in reply.json()["errors"][0], reply
    client = connect(proxy)
    assert client.get("/here").text == "one"
    assert proxy.wait_for_access(path="/here"), "the former access log goes on"


def test_o14_an_access_log_that_can_be_opened_is_in_use_after_the_reload(tidegate, connect):
    proxy = tidegate(responding("one"))
    proxy.write_config(responding("two", log={"access": "access.log"}))
    assert proxy.admin("/reload", "POST").status == 200
    assert connect(proxy).get("/there").text == "two"
    eventually(lambda: "/there" in (proxy.folder / "access.log").read_text(encoding="utf-8"))


def test_o27_a_log_level_set_by_the_admin_address_survives_a_reload(tidegate):
    proxy = tidegate(responding("one"))
    assert proxy.admin("/log-level", "POST", body='{"level": "warn"}').status == 200
    assert proxy.admin("/reload", "POST").status == 200
    assert proxy.admin("/log-level").json() == {"level": "warn"}
    proxy.write_config(responding("one", log={"level": "info"}))  # which it is without saying
    assert proxy.admin("/reload", "POST").status == 200
    assert proxy.admin("/log-level").json() == {"level": "warn"}
    proxy.write_config(responding("one", log={"level": "debug"}))
    assert proxy.admin("/reload", "POST").status == 200
    assert proxy.admin("/log-level").json() == {"level": "debug"}
