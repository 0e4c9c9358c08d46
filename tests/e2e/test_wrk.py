# SPDX-License-Identifier: Apache-2.0
"""A short burst of wrk: no error, no odd answer, every request counted."""
import re



def burst(wrk, proxy, *more, path="/"):
    done = wrk("-t1", "-c32", "-d2s", *more, f"http://127.0.0.1:{proxy.port()}{path}")
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
    return int(re.search(r"(\d+) requests in", done.stdout)[1])


def check_counts(proxy, count):
    """wrk leaves up to one request per connection unread at its end."""
    metrics = proxy.metrics()
    assert count <= metrics("proxy_requests_total") <= count + 32
    assert metrics("proxy_responses_by_status_total", status="200") >= count
    assert metrics("proxy_access_log_dropped_total", default=0) == 0


def test_a_burst_to_a_local_answer(wrk, proxy_to):
    proxy = proxy_to(route={"respond": {"status": 200, "body": "x" * 128}}, log={"access": "off"})
    check_counts(proxy, burst(wrk, proxy))


def test_a_burst_through_a_second_proxy(wrk, proxy_to):
    """The origin is another Tidegate, which is as fast as a real one."""
    origin = proxy_to(route={"respond": {"status": 200, "body": "x" * 128}}, log={"access": "off"})
    proxy = proxy_to(f"http://127.0.0.1:{origin.port()}", workers=2, log={"access": "off"})
    count = burst(wrk, proxy)
    check_counts(proxy, count)
    assert origin.metrics()("proxy_client_connections_total") <= 64 + 2, "the pool is used"


def test_a_burst_through_a_policy(wrk, scripted, proxy_to):
    origin = proxy_to(route={"respond": {"status": 200, "body": "x" * 128}}, log={"access": "off"})
    proxy = scripted("""
        function on_request(request)
          request.headers["x-one"] = "1"
          request.headers["user-agent"] = nil
        end
        function on_response(response) response.headers["x-two"] = "2" end""",
                     f"http://127.0.0.1:{origin.port()}", config={"log": {"access": "off"}})
    count = burst(wrk, proxy)
    check_counts(proxy, count)
    assert proxy.metrics()("proxy_script_runs_total", policy="policy", hook="on_request") >= count


def test_pipelining_by_wrk(wrk, proxy_to, tmp_path):
    script = tmp_path / "pipeline.lua"
    script.write_text("""
        init = function(args)
          local all = {}
          for n = 1, 8 do all[n] = wrk.format("GET", "/" .. n) end
          requests = table.concat(all)
        end
        request = function() return requests end""", encoding="utf-8")
    proxy = proxy_to(route={"respond": {"status": 200, "body": "x"}}, log={"access": "off"})
    assert burst(wrk, proxy, "-s", script) > 8
