# SPDX-License-Identifier: Apache-2.0
"""The access log: one JSON object a line, for every exchange, whatever its end."""
import datetime
import signal
import time


def test_a_line_says_all_about_an_exchange(origin, scripted, connect):
    origin.on("/path", body=b"five!")
    proxy = scripted("function on_request() end", origin)
    connect(proxy).post("/path?q=1", b"four", {"Host": "a.example", "User-Agent": "tester"})
    line = proxy.wait_for_access(count=1)[0]
    expected = {"level": "info", "client_ip": "127.0.0.1", "method": "POST", "host": "a.example", "path": "/path",
                "route": "all", "cluster": "origin", "endpoint": origin.address, "attempts": 1, "status": 200,
                "bytes_in": 4, "bytes_out": 5, "listener": "public", "protocol": "HTTP/1.1"}
    assert {key: line.get(key) for key in expected} == expected
    assert "error" not in line
    assert line["message"] and line["request_id"] == origin.last.headers.get("x-request-id")
    assert 0 <= line["upstream_ms"] <= line["duration_ms"] < 5000
    assert "policy" in str(line["policies"])
    moment = datetime.datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00"))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((now - moment).total_seconds()) < 60


def test_every_exchange_gets_one_line(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    client = connect(proxy)
    for number in range(50):
        client.get(f"/{number}")
    lines = proxy.wait_for_access(count=50)
    assert [line["path"] for line in lines] == [f"/{number}" for number in range(50)]
    assert len({line["request_id"] for line in lines}) == 50


def test_a_refused_request_gets_a_line(proxy_to, connect):
    proxy = proxy_to(route={"echo": True})
    client = connect(proxy)
    client.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    client.response()
    line = proxy.wait_for_access(count=1)[0]
    assert (line["status"], line["error"], line["side"]) == (400, "bad_request", "client")


def test_what_a_client_sends_can_not_forge_a_line(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    client = connect(proxy)
    client.get('/a"},{"x":"', {"User-Agent": 'a"\\ \t b', "Host": "a.example"})
    client.get("/after")
    lines = proxy.wait_for_access(count=2)
    assert [line["status"] for line in lines] == [200, 200]
    assert "x" not in lines[0] and lines[0]["path"].startswith("/a")


def test_bytes_that_are_no_utf8_still_make_a_line(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    connect(proxy).get("/", {"User-Agent": "\xff\xfe\x80"})
    assert proxy.wait_for_access(count=1)[0]["status"] == 200


def test_the_log_can_be_off(origin, proxy_to, connect):
    proxy = proxy_to(origin, log={"access": "off"})
    connect(proxy).get("/")
    proxy.stop()
    assert proxy.access_lines == []


def test_the_log_can_go_to_a_file(origin, proxy_to, connect):
    proxy = proxy_to(origin, log={"access": "access.log"})
    connect(proxy).get("/in-a-file")
    proxy.signal(signal.SIGTERM)
    proxy.wait_for_exit()
    assert '"path":"/in-a-file"' in (proxy.folder / "access.log").read_text(encoding="utf-8")
    proxy.check_exit()


def test_no_line_is_lost_at_the_end(origin, proxy_to, connect):
    proxy = proxy_to(origin)
    client = connect(proxy)
    for number in range(200):
        client.get(f"/{number}")
    proxy.stop()
    assert len(proxy.access_lines) == 200


def test_the_operational_log_is_json_with_time_and_level(proxy_to):
    proxy = proxy_to(route={"echo": True})
    for line in proxy.log_lines:
        assert {"timestamp", "level", "message"} <= line.keys(), line


def test_the_duration_includes_what_scripts_compute(scripted, connect):
    proxy = scripted("""function on_request(request)
        local x = 0
        for n = 1, 5000000 do x = x + n end
        request:reply(200, "done")
      end""", budget={"cpu": "5s"}, config={"route": {"echo": True}})
    begin = time.monotonic()
    connect(proxy, timeout=20).get("/")
    took = (time.monotonic() - begin) * 1000
    assert took * 0.5 < proxy.wait_for_access(count=1)[0]["duration_ms"] <= took


def test_the_duration_includes_waits(origin, scripted, connect):
    proxy = scripted("function on_response() proxy.sleep(0.1) end", origin)
    connect(proxy).get("/")
    line = proxy.wait_for_access(count=1)[0]
    assert line["duration_ms"] > 95 and line["upstream_ms"] < line["duration_ms"] - 90
