# SPDX-License-Identifier: Apache-2.0
"""The admin address: health, readiness, status, policies, and who may change what."""
import datetime
import signal
import threading

import pytest

from support import Client, config_for, eventually, run_tidegate
from support.proxy import MEASURES_MEMORY

ECHO = {"route": {"echo": True}}


def test_health_and_ready_say_yes(proxy_to):
    proxy = proxy_to(**ECHO)
    eventually(lambda: proxy.admin("/ready").status == 200)
    for path in ("/health", "/ready"):
        reply = proxy.admin(path)
        assert reply.status == 200, reply
        assert reply.headers["content-type"].startswith("application/json")
        reply.json()


def test_status_shows_where_it_listens(proxy_to):
    proxy = proxy_to(**ECHO)
    status = proxy.status()
    assert {"name": "public", "address": f"127.0.0.1:{proxy.port()}"}.items() <= status["listeners"][0].items()


def test_ready_says_no_while_draining(origin, proxy_to, connect):
    release = threading.Event()
    origin.on("/slow", lambda exchange: (exchange.wait(release), exchange.reply()))
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.send_request("GET", "/slow")
    origin.wait_for_requests(1)
    proxy.signal(signal.SIGTERM)
    eventually(lambda: proxy.admin("/ready").status == 503)
    assert proxy.admin("/health").status == 200, "alive is not the same as ready"
    release.set()
    assert client.response().status == 200


def test_policies_are_listed_with_their_generation(scripted):
    proxy = scripted("function on_request() end", config=ECHO)
    policies = proxy.admin("/policies").json()["policies"]
    assert [(p["name"], p["generation"]) for p in policies] == [("policy", proxy.generation("policy"))]
    assert policies[0]["hooks"] == ["on_request"]
    assert policies[0]["loaded_at"].startswith(str(datetime.datetime.now(datetime.timezone.utc).year))


def test_unknown_paths_are_404_and_wrong_methods_405(proxy_to):
    proxy = proxy_to(**ECHO)
    assert proxy.admin("/nothing").status == 404
    assert proxy.admin("/status", "POST").status == 405
    assert proxy.admin("/health", "DELETE").status == 405


def test_head_is_answered_as_get_without_body(proxy_to):
    reply = proxy_to(**ECHO).admin("/health", "HEAD")
    assert (reply.status, reply.body) == (200, b"")


def test_admin_paths_do_not_exist_on_listeners(proxy_to, connect):
    proxy = proxy_to(routes=[{"match": {"path": "/x"}, "echo": True}])
    assert connect(proxy).get("/metrics").status == 404


@pytest.mark.parametrize("headers,status", [
    ({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "Basic s3cret"}, 401),
    ({"Authorization": "Bearer s3cret2"}, 401), ({"Authorization": "Bearer s3cre"}, 401),
    ({"Authorization": "Bearer s3cret"}, 200)])
def test_what_changes_state_needs_the_token(scripted, headers, status):
    proxy = scripted("function on_request() end",
                     config={**ECHO, "admin": {"address": "127.0.0.1:0", "token": "s3cret"}})
    for path in ("/policies/policy/reload", "/reload"):
        assert proxy.admin(path, "POST", headers).status == status
    assert proxy.admin("/health").status == 200, "reading needs none"
    assert proxy.admin("/metrics").status == 200


def test_the_token_is_shown_nowhere(scripted):
    proxy = scripted("function on_request() end", config={
        **ECHO, "admin": {"address": "127.0.0.1:0", "token": "s3cret-token"}})
    for path in ("/status", "/policies", "/metrics", "/config"):
        assert "s3cret-token" not in proxy.admin(path).text
    assert "s3cret-token" not in str(proxy.log_lines)


def test_o15_with_a_token_reads_need_it_too(proxy_to):
    proxy = proxy_to(**ECHO, admin={"address": "127.0.0.1:0", "token": "s3cret"})
    for path in ("/config", "/status", "/policies", "/routes", "/clusters", "/breakers", "/log-level"):
        assert proxy.admin(path).status == 401, path
        assert proxy.admin(path, headers={"Authorization": "Bearer wrong"}).status == 401, path
        assert proxy.admin(path, headers={"Authorization": "Bearer s3cret"}).status == 200, path
    for path in ("/health", "/ready", "/metrics"):
        assert proxy.admin(path).status == 200, path


def test_o15_the_config_shows_no_secret(scripted):
    proxy = scripted("function on_request() end", options={"api_key": "hush", "deep": {"auth": ["hush"]}},
                     config={"route": {"respond": {"headers": {"Authorization": "hush"}, "body": "seen"}}})
    text = proxy.admin("/config").text
    assert "hush" not in text and "seen" in text and "api_key" in text


def test_o15_a_refused_set_does_not_show_its_value():
    done = run_tidegate("check", "--set", "admin.token=hush hush", "--set", "listeners.0.address=127.0.0.1:1",
                        "--set", "routes.0.echo=true")
    assert done.returncode == 2
    assert "--set admin.token: " in done.stderr and "hush" not in done.stderr + done.stdout


def test_the_admin_address_can_be_off(tidegate, connect):
    proxy = tidegate({"workers": 1, "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
                      "routes": [{"echo": True}], "admin": {"address": "off"}})
    assert connect(proxy).get("/").status == 200


def test_the_admin_address_takes_no_sloppy_request_either(proxy_to):
    proxy = proxy_to(**ECHO)
    with Client(proxy.port("admin")) as client:
        client.send("GET /health HTTP/1.1\r\nHost : a\r\n\r\n")
        assert client.response().status == 400
        client.read_to_close()
    assert proxy.admin("/health").status == 200


def test_a_page_of_a_rebound_name_learns_and_changes_nothing(proxy_to):
    with Client(proxy_to(**ECHO).port("admin")) as client:
        for path in ("/status", "/config"):
            assert client.get(path, {"Host": "rebound.example"}).status == 403
        assert client.post("/reload", b"", {"Host": "rebound.example"}).status == 403
        assert client.post("/reload", b"", {"Host": "localhost", "Origin": "http://a.example"}).status == 403
        assert client.get("/metrics", {"Host": "tidegate.monitoring"}).status == 200, "scraped by name"


def test_the_admin_address_keeps_connections(proxy_to):
    with Client(proxy_to(**ECHO).port("admin")) as client:
        for path in ("/health", "/metrics", "/status", "/nothing", "/health"):
            assert client.get(path, {"Host": "localhost"}).status == (404 if path == "/nothing" else 200)


@pytest.mark.parametrize("after", ["off", "0.0.0.0:0", "unix:admin.sock"])
def test_o22_a_reload_leaves_the_open_address_as_well_guarded_as_it_was(proxy_to, after):
    proxy = proxy_to(**ECHO)
    rebound = {"Host": "rebound.example"}
    assert proxy.admin("/status", headers=rebound).status == 403
    proxy.write_config(config_for(admin={"address": after}, **ECHO))
    assert proxy.admin("/reload", "POST").json() == {"reloaded": True}
    proxy.wait_for_log(message="a change of admin.address needs a restart")
    assert proxy.admin("/status", headers=rebound).status == 403
    assert proxy.admin("/reload", "POST", headers=rebound).status == 403
    assert proxy.admin("/status").status == 200


@pytest.mark.parametrize("colon", [":", "%3A", "%3a"])
def test_o26_an_endpoints_address_may_be_encoded(origin, proxy_to, colon):
    proxy = proxy_to(origin)
    path = f"/clusters/origin/endpoints/{origin.address.replace(':', colon)}"
    assert proxy.admin(path + "/drain", "POST").json()["draining"] is True
    assert proxy.admin(path + "/enable", "POST").json()["draining"] is False


def test_o26_a_policys_name_may_be_encoded(proxy_to):
    proxy = proxy_to(scripts={"policy.lua": "function on_request() end"}, policies={"a-b": "policy.lua"}, **ECHO)
    assert proxy.admin("/policies/a%2Db/reload", "POST").json() == {"reloaded": True}


def test_o21_ready_says_no_while_memory_refuses_connections(proxy_to):
    proxy = proxy_to(max_memory="4MiB", **ECHO)  # less than it needs for itself
    proxy.wait_for_log(message="out of memory: new connections are refused")
    eventually(lambda: proxy.admin("/ready").json() == {"ready": False, "reason": "out_of_memory"})
    assert proxy.admin("/ready").status == 503
    assert proxy.admin("/health").status == 200
    proxy.write_config(config_for(**ECHO))
    assert proxy.admin("/reload", "POST").json() == {"reloaded": True}
    eventually(lambda: proxy.admin("/ready").status == 200)


def trickle(proxy):
    client = Client(proxy.port("admin"))
    client.send("POST /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{")
    return client


def never_read(proxy):
    client = Client(proxy.port("admin"))
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
    return client


def half_a_head(proxy):
    client = Client(proxy.port("admin"))
    client.send("GET /metrics HTTP/1.1\r\nHost: local")
    return client


@pytest.mark.parametrize("attack", [trickle, never_read, half_a_head])
def test_o11_admin_clients_that_are_slow_hold_up_nobody(proxy_to, attack):
    proxy = proxy_to(**ECHO)
    before = proxy.memory_kib()
    slow = [attack(proxy) for _ in range(20)]
    for _ in range(3):
        assert proxy.admin("/health").status == 200
        assert proxy.get("/").status == 200
    assert proxy.memory_kib() < before + 60 * 1024 or not MEASURES_MEMORY
    for client in slow:
        client.close()


@pytest.mark.parametrize("path", ["/log-level", "/reload", "/drain", "/health"])
def test_o11_a_huge_body_is_refused(proxy_to, path):
    proxy = proxy_to(**ECHO)
    with Client(proxy.port("admin")) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n")
        assert client.response().status == 413
    eventually(lambda: proxy.admin("/ready").status == 200)


@pytest.mark.parametrize("body", [
    "[" * 60000, "[" * 30000 + "]" * 30000, '{"a":' * 10000 + "1" + "}" * 10000, '{"level": "' + "x" * 60000 + '"}',
    '{"level": "\xff\xfe"}', '{"level": 1e999}', "\x00", ""], ids=lambda body: ascii(body[:12]))
def test_o11_no_body_ends_the_process(proxy_to, body):
    proxy = proxy_to(**ECHO)
    assert proxy.admin("/log-level", "POST", body=body.encode("latin-1")).status == 400
    assert proxy.admin("/health").status == 200


@pytest.mark.parametrize("how", ["file", "variable"])
def test_o11_texts_that_are_no_utf8_end_nothing(tidegate, how):
    """JSON must be UTF-8, and metrics too."""
    config = config_for(route={"respond": {"body": "${ODD}", "headers": {"x-odd": "${ODD}"}}})
    config["routes"][0]["name"] = "${ODD:-all}"
    proxy = tidegate(config_for(**ECHO), env={"ODD": "\udcff\udcfea"})
    proxy.write_config(config)
    if how == "file":
        proxy.config_file.write_bytes(proxy.config_file.read_bytes().replace(b"${ODD:-all}", b"\xff\xfea"))
    reply = proxy.admin("/reload", "POST")
    assert reply.status in (200, 422), reply
    assert proxy.get("/").status == 200
    for path in ("/config", "/routes", "/status", "/metrics", "/clusters"):
        assert proxy.admin(path).status == 200
