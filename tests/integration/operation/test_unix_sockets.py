# SPDX-License-Identifier: Apache-2.0
"""Unix sockets as listeners and as origins."""
import os
import signal
import socket
import stat

import pytest

from support import Client, config_for, eventually, run_tidegate


@pytest.fixture
def path(tmp_path):
    return tmp_path / "proxy.sock"


def on_socket(path, *origins, **listener):
    return config_for(*origins, listener={"address": f"unix:{path}", **listener})


def leave_stale_socket(path):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()


def test_a_listener_may_be_a_unix_socket_which_goes_with_the_proxy(origin, tidegate, path):
    proxy = tidegate(on_socket(path, origin))
    assert proxy.addresses()["public"] == f"unix:{path}"
    with Client(path) as client:
        assert client.get("/one").status == 200
        assert client.get("/two").status == 200
    assert origin.paths() == ["/one", "/two"]
    proxy.stop()
    assert not path.exists()


def test_a_relative_path_starts_from_the_config_files_folder(origin, tidegate):
    proxy = tidegate(config_for(origin, listener={"address": "unix:here.sock"}))
    with Client(proxy.folder / "here.sock") as client:
        assert client.get("/").status == 200


def test_a_client_on_a_unix_socket_has_no_address_but_the_word_unix(origin, tidegate, path):
    proxy = tidegate(on_socket(path, origin))
    with Client(path) as client:
        assert client.get("/", {"X-Forwarded-For": "6.6.6.6"}).status == 200
    assert "x-forwarded-for" not in origin.last.headers
    assert "x-forwarded-port" not in origin.last.headers
    assert proxy.wait_for_access(path="/")["client_ip"] == "unix"


def test_trusted_proxies_can_name_unix(origin, tidegate, path):
    proxy = tidegate(on_socket(path, origin, trusted_proxies=["unix"]))
    with Client(path) as client:
        assert client.get("/", {"X-Forwarded-For": "6.6.6.6"}).status == 200
    assert origin.last.headers.all("x-forwarded-for") == ["6.6.6.6"]
    assert proxy.wait_for_access(path="/")["client_ip"] == "6.6.6.6"


def test_every_address_trusted_does_not_trust_unix(origin, tidegate, path):
    tidegate(on_socket(path, origin, trusted_proxies=["::/0"]))
    with Client(path) as client:
        assert client.get("/", {"X-Forwarded-For": "6.6.6.6"}).status == 200
    assert "x-forwarded-for" not in origin.last.headers


@pytest.mark.parametrize("mode", ["0600", "0666"])
def test_the_file_has_the_permissions_that_are_asked_for(origin, tidegate, path, mode):
    tidegate(on_socket(path, origin, permissions=mode))
    assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)


def test_a_reload_changes_permissions_and_keeps_the_socket(origin, tidegate, path):
    proxy = tidegate(on_socket(path, origin, permissions="0600"))
    before = path.stat().st_ino
    with Client(path) as client:
        assert client.get("/").status == 200
        since = len(proxy.log_lines)
        proxy.write_config(on_socket(path, origin, permissions="0660"))
        proxy.signal(signal.SIGHUP)
        proxy.wait_for_log(message="configuration loaded", since=since)
        assert client.get("/").status == 200, "a connection that was open stays"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert path.stat().st_ino == before


def test_a_reload_that_drops_the_listener_removes_the_file(origin, tidegate, path):
    config = on_socket(path, origin)
    config["listeners"].append({"name": "more", "address": "127.0.0.1:0"})
    proxy = tidegate(config)
    del config["listeners"][0]
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="configuration loaded")
    eventually(lambda: not path.exists())
    assert proxy.client("more").get("/").status == 200


def test_a_socket_that_a_dead_process_left_is_replaced(origin, tidegate, path):
    leave_stale_socket(path)
    tidegate(on_socket(path, origin))
    with Client(path) as client:
        assert client.get("/").status == 200


def refusal_to_start(config, path):
    file = path.with_name("refused.yaml")
    import json
    file.write_text(json.dumps(config), encoding="utf-8")
    done = run_tidegate("run", "--config", file)
    assert done.returncode == 1, done
    return done.stderr


def test_a_socket_that_another_process_listens_on_is_left_alone(origin, path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert "another process listens there" in refusal_to_start(on_socket(path, origin), path)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))


def test_a_file_that_is_no_socket_is_left_alone(origin, path):
    path.write_text("precious", encoding="utf-8")
    assert "is no socket" in refusal_to_start(on_socket(path, origin), path)
    assert path.read_text(encoding="utf-8") == "precious"


def test_a_file_that_has_become_anothers_is_not_removed(origin, tidegate, path):
    proxy = tidegate(on_socket(path, origin))
    os.unlink(path)
    leave_stale_socket(path)
    proxy.stop()
    assert path.exists()


@pytest.mark.workers
def test_all_workers_accept_from_one_socket(origin, tidegate, path):
    config = on_socket(path, origin)
    config["workers"] = 3
    proxy = tidegate(config)
    clients = [Client(path) for _ in range(30)]
    for client in clients:
        assert client.get("/").status == 200
        client.close()
    assert proxy.metrics()("proxy_client_connections_total") == 30


def test_an_origin_may_be_a_unix_socket(make_origin, tidegate, connect, tmp_path):
    origin = make_origin(path=tmp_path / "origin.sock")
    proxy = tidegate(config_for(origin))
    client = connect(proxy)
    assert client.post("/a", b"body").status == 200
    assert client.get("/b", {"Host": "shop.example"}).status == 200
    assert origin.connections == 1, "and its connections are kept"
    assert origin.last.headers.get("host") == "shop.example"
    assert proxy.wait_for_access(path="/b")["endpoint"] == f"unix:{tmp_path}/origin.sock"


def test_an_origin_of_http_2_may_be_a_unix_socket(origin, tidegate, connect, path):
    """A second proxy is the origin: its access log tells which version came."""
    behind = tidegate(on_socket(path, origin))
    client = connect(tidegate(config_for(f"http://unix:{path}", cluster={"protocol": "h2"})))
    assert client.post("/a", b"x" * 100_000).status == 200
    assert client.get("/b", {"Host": "shop.example"}).status == 200
    assert {line["protocol"] for line in behind.wait_for_access(count=2)} == {"HTTP/2"}
    assert behind.metrics()("proxy_client_connections_total") == 1, "one connection carries both"
    assert origin.last.headers.get("host") == "shop.example"


def test_an_origins_socket_that_is_not_there_is_a_failed_connect(tidegate, connect, tmp_path):
    proxy = tidegate(config_for(f"http://unix:{tmp_path}/none.sock"))
    assert connect(proxy).get("/").status == 502
    assert proxy.wait_for_access(status=502)["error"] == "connect_failed"


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced by a file that nobody listens on"])
def test_o25_a_listeners_file_that_has_gone_is_made_anew_by_a_reload(origin, tidegate, path, how):
    proxy = tidegate(on_socket(path, origin, permissions="0600"))
    with Client(path) as old:
        assert old.get("/before").status == 200
        if how == "renamed":
            path.rename(path.with_suffix(".old"))
        else:
            path.unlink()
        if how.startswith("replaced"):
            leave_stale_socket(path)
        assert proxy.admin("/reload", "POST").json() == {"reloaded": True}
        with Client(path) as client:
            assert client.get("/after").status == 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert old.get("/still").status == 200
    proxy.stop()
    assert not path.exists()


def test_o25_an_open_file_stays_as_it_is_in_a_reload(origin, tidegate, path):
    proxy = tidegate(on_socket(path, origin))
    inode = path.stat().st_ino
    assert proxy.admin("/reload", "POST").json() == {"reloaded": True}
    assert path.stat().st_ino == inode


BREAKS = {
    "script": lambda config, _: config.update(
        policies={"broken": {"script": "broken.lua"}}, default_policies=["broken"]),
    "listener": lambda config, port: config["listeners"].append({"name": "taken", "address": f"127.0.0.1:{port}"}),
    "certificate": lambda config, _: config["listeners"].append({
        "name": "tls", "address": "127.0.0.1:0", "tls": {"certificates": [{"cert": "none", "key": "none"}]}}),
}


@pytest.mark.parametrize("what", BREAKS)
def test_o25_a_refused_config_leaves_no_file_behind(origin, tidegate, path, connect, what):
    proxy = tidegate(config_for(origin), {"broken.lua": "no lua"})
    config = config_for(origin)
    config["listeners"].append({"name": "new", "address": f"unix:{path}"})
    BREAKS[what](config, proxy.port("admin"))
    proxy.write_config(config)
    assert proxy.admin("/reload", "POST").status == 422
    assert not path.exists()
    assert connect(proxy).get("/").status == 200
