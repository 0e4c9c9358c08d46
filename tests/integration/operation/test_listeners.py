# SPDX-License-Identifier: Apache-2.0
"""What a listener can be bound to."""
import signal
import socket

import pytest

from support import Client, config_for, run_tidegate
from support.config import as_yaml


def test_a_listener_may_be_ipv6(origin, tidegate):
    proxy = tidegate(config_for(origin, listener={"address": "[::1]:0"}))
    with Client(proxy.port(), host="::1") as client:
        assert client.get("/").status == 200
    assert origin.last.headers.get("x-forwarded-for") == "::1"


def test_several_listeners_serve_at_once(origin, tidegate):
    config = config_for(origin)
    config["listeners"] += [{"name": f"more-{n}", "address": "127.0.0.1:0"} for n in range(5)]
    proxy = tidegate(config)
    for name in ("public", *(f"more-{n}" for n in range(5))):
        with proxy.client(name) as client:
            assert client.get(f"/{name}").status == 200
    assert len(set(proxy.addresses().values())) == 7


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def write(folder, config):
    file = folder / "other.yaml"
    file.write_text(as_yaml(config), encoding="utf-8")
    return file


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "0.0.0.0"])
@pytest.mark.parametrize("taken", ["public", "admin"])
@pytest.mark.parametrize("wanted", ["listener", "admin"])
def test_o7_two_processes_do_not_share_an_address(origin, tidegate, tmp_path, address, taken, wanted):
    """With SO_REUSEPORT alone they would, and each answer half of the requests."""
    proxy = tidegate(config_for(origin))
    here = f"{address}:{proxy.port(taken)}"
    other = config_for(origin, listener={"address": here}) if wanted == "listener" else config_for(
        origin, admin={"address": here})
    done = run_tidegate("run", "--config", write(tmp_path, other))
    assert done.returncode == 1
    assert "another process or another listener does" in done.stderr
    assert proxy.get("/").status == 200
    assert proxy.admin("/health").status == 200


def test_o7_the_address_is_free_for_the_next_process_once_the_first_drains(origin, tidegate, connect):
    port = free_port()
    first = tidegate(config_for(origin, listener={"address": f"127.0.0.1:{port}"}))
    with Client(port) as idle:
        assert idle.get("/").status == 200
        first.signal(signal.SIGTERM)
        first.wait_for_log(message="draining")
        idle.expect_end()
    assert first.wait_for_exit() == 0  # its connections are in TIME_WAIT
    second = tidegate(config_for(origin, listener={"address": f"127.0.0.1:{port}"}))
    assert connect(second).get("/").status == 200


SAME = {
    "loopback and localhost": ("127.0.0.1", "localhost"),
    "localhost and loopback": ("localhost", "127.0.0.1"),
    "all and loopback": ("0.0.0.0", "127.0.0.1"),
    "loopback and all": ("127.0.0.1", "0.0.0.0"),
    "case of a name": ("localhost", "LOCALHOST"),
    "IPv6": ("[::]", "[::1]"),
    "spelling of IPv6": ("[::1]", "[0:0:0:0:0:0:0:1]"),
}


@pytest.mark.parametrize("case", SAME)
@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("second", ["listener", "admin"])
def test_o7_one_process_does_not_take_an_address_twice(origin, tmp_path, case, verb, second):
    port = free_port()
    one, other = (f"{host}:{port}" for host in SAME[case])
    config = config_for(origin, listener={"address": one})
    if second == "admin":
        config["admin"] = {"address": other}
    else:
        config["listeners"].append({"name": "other", "address": other})
    done = run_tidegate(verb, "--config", write(tmp_path, config))
    assert done.returncode == 2
    assert "is already the address of listener 'public'" in done.stderr or (
        "is also that of listener 'public'" in done.stderr), done.stderr


def test_o7_ports_of_different_addresses_are_different(origin, tidegate):
    port = free_port()
    config = config_for(origin, listener={"address": f"127.0.0.1:{port}"}, admin={"address": f"127.0.0.2:{port}"})
    config["listeners"].append({"name": "six", "address": f"[::1]:{port}"})
    proxy = tidegate(config)
    assert proxy.get("/").status == 200


@pytest.mark.parametrize(("before", "after"), [
    ("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")])
def test_o7_a_reload_moves_a_listener_to_an_address_that_overlaps(origin, tidegate, before, after):
    port = free_port()
    proxy = tidegate(config_for(origin, listener={"address": f"{before}:{port}"}, workers=2))
    for host in (after, before, after):
        proxy.write_config(config_for(origin, listener={"address": f"{host}:{port}"}, workers=2))
        assert proxy.admin("/reload", "POST").json() == {"reloaded": True}
        for _ in range(4):
            with Client(port) as client:
                assert client.get("/").status == 200


@pytest.mark.parametrize("taken", ["admin", "other process", "other listener"])
def test_o7_a_reload_does_not_take_an_address_that_is_taken(origin, tidegate, connect, taken):
    proxy = tidegate(config_for(origin))
    config = config_for(origin)
    if taken == "other process":
        port = tidegate(config_for(origin)).port()
    else:
        port = proxy.port("admin") if taken == "admin" else free_port()
    config["listeners"].append({"name": "more", "address": f"127.0.0.1:{port}"})
    if taken == "other listener":
        config["listeners"].append({"name": "most", "address": f"0.0.0.0:{port}"})
    proxy.write_config(config)
    reply = proxy.admin("/reload", "POST")
    assert reply.status == 422, reply
    assert any(why in str(reply.json()["errors"]) for why in (
        "is also that of the admin address", "another process or another listener does",
        "is already the address of listener 'more'"))
    assert connect(proxy).get("/").status == 200
