# SPDX-License-Identifier: Apache-2.0
"""Further attempts after one that failed: when, how many, and when never."""
import threading
import time

import pytest

from support import Client, eventually, scaled

FAST = {"max_retries": 2, "backoff": {"base": "1ms", "max": "2ms"}}


def with_retry(proxy_to, *origins, retry=None, **config):
    cluster = {"retry": {**FAST, **(retry or {})}, **config.pop("cluster", {})}
    return proxy_to(*origins, cluster=cluster, **config)


def fails(origin, how, times=1):
    """The origin fails its first requests, then answers with what it got."""
    count = [0]

    def handle(exchange):
        count[0] += 1
        if count[0] <= times:
            return how(exchange)
        exchange.reply(200, exchange.read_body() or origin.name)

    return origin.otherwise(handle, may_break=True)


def resets_before_head(exchange):
    exchange.reset()


def closes_before_head(exchange):
    exchange.close()


def answers(status, **headers):
    return lambda exchange: exchange.reply(status, b"no", {k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize("how,reason", [
    (resets_before_head, "reset"), (closes_before_head, "reset"), (answers(502), "status"),
    (answers(503), "status"), (answers(504), "status")])
def test_a_failed_attempt_is_repeated(origin, proxy_to, connect, how, reason):
    proxy = with_retry(proxy_to, fails(origin, how))
    assert connect(proxy).get("/").status == 200
    assert len(origin.requests) == 2
    assert proxy.metrics()("proxy_retries_total", cluster="origin", reason=reason) == 1
    assert proxy.wait_for_access(status=200)["attempts"] == 2


def test_without_retry_nothing_is_repeated(origin, proxy_to, connect):
    proxy = proxy_to(fails(origin, answers(503)))
    assert connect(proxy).get("/").status == 503
    assert len(origin.requests) == 1


def test_other_statuses_pass(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, answers(500)), retry={"on": ["connect", "503"]})
    assert connect(proxy).get("/").status == 500


def test_an_origin_that_refuses_is_left_for_another(make_origin, proxy_to, connect):
    dead, alive = make_origin("dead"), make_origin("alive")
    dead.close()
    client = connect(with_retry(proxy_to, dead, alive))
    assert [client.get("/").status for _ in range(6)] == [200] * 6


def test_nothing_is_waited_for_when_another_endpoint_is_there(make_origin, proxy_to, connect):
    dead, alive = make_origin("dead"), make_origin("alive")
    dead.close()
    client = connect(with_retry(proxy_to, dead, alive, retry={"backoff": {"base": "1h", "max": "1h"}}))
    assert [client.get("/").status for _ in range(6)] == [200] * 6


def test_retries_have_a_share_of_the_requests_however_fast_they_come(make_origin, proxy_to, connect):
    """Of ten endpoints one refuses: a tenth of the requests, which leaves nothing under way to take a
    share of."""
    origins = [make_origin(f"origin{i}") for i in range(10)]
    proxy = with_retry(proxy_to, *origins, retry={"budget_min": 0})
    client = connect(proxy)
    assert [client.get("/").status for _ in range(30)] == [200] * 30
    origins[0].close()
    assert [client.get("/").status for _ in range(60)] == [200] * 60


def test_beyond_that_share_there_is_no_retry(origin, proxy_to, connect):
    client = connect(with_retry(proxy_to, origin.otherwise(answers(503)), retry={"budget": "20%", "budget_min": 0}))
    assert [client.get("/").status for _ in range(50)] == [503] * 50
    assert len(origin.requests) == 60


def test_a_retry_prefers_another_endpoint(make_origin, proxy_to, connect):
    bad = make_origin("bad").otherwise(answers(503))
    good = make_origin("good")
    proxy = with_retry(proxy_to, bad, good)
    client = connect(proxy)
    assert [client.get("/").status for _ in range(10)] == [200] * 10
    assert len(bad.requests) <= 10


def test_after_the_last_retry_the_client_gets_the_last_answer(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, origin.otherwise(answers(503, x_from="origin")))
    reply = connect(proxy).get("/")
    assert (reply.status, reply.headers.get("x-from")) == (503, "origin")
    assert len(origin.requests) == 3


def test_a_body_is_sent_again(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, lambda e: (e.read_body(), e.reset())))
    assert connect(proxy).request("PUT", "/", body=b"x" * 50_000).body == b"x" * 50_000


def test_a_body_beyond_the_buffer_is_not_repeated(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, lambda e: (e.read_body(), e.reply(503))), retry={"buffer": "10KiB"})
    assert connect(proxy).request("PUT", "/", body=b"x" * 50_000).status == 503
    assert len(origin.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_have_been_done_is_not_done_twice(origin, proxy_to, connect, method):
    proxy = with_retry(proxy_to, fails(origin, lambda e: (e.read_body(), e.reset())))
    reply = connect(proxy).request(method, "/", body=b"pay")
    assert (reply.status, reply.json()["error"]) == (502, "origin_reset")
    assert len(origin.requests) == 1


def test_it_is_if_the_config_says_so(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, lambda e: (e.read_body(), e.reset())), retry={"non_idempotent": True})
    assert connect(proxy).request("POST", "/", body=b"pay").body == b"pay"


def test_a_post_that_was_never_sent_is_repeated(make_origin, proxy_to, connect):
    dead, alive = make_origin("dead"), make_origin("alive")
    dead.close()
    alive.otherwise(lambda e: e.reply(200, e.read_body()))
    client = connect(with_retry(proxy_to, dead, alive))
    assert [client.request("POST", "/", body=b"pay").body for _ in range(4)] == [b"pay"] * 4


def test_once_a_response_has_begun_there_is_no_retry(origin, proxy_to, connect):
    def breaks_in_body(exchange):
        exchange.start_chunked()
        exchange.chunk("half")
        exchange.reset()

    proxy = with_retry(proxy_to, fails(origin, breaks_in_body))
    client = connect(proxy)
    client.send_request("GET", "/")
    client.read_to_close()
    assert len(origin.requests) == 1


def test_a_slow_try_is_given_up_for_another(make_origin, proxy_to, connect):
    gate = threading.Event()
    slow = make_origin("slow").otherwise(lambda e: e.wait(gate, 20) or e.reply(200), may_break=True)
    quick = make_origin("quick")
    proxy = with_retry(proxy_to, slow, quick, retry={"on": ["timeout"], "per_try_timeout": "80ms"})
    client = connect(proxy)
    assert [client.get("/").status for _ in range(3)] == [200] * 3
    gate.set()
    assert proxy.metrics()("proxy_retries_total", reason="timeout") >= 1


def test_the_last_slow_try_has_its_own_token(origin, proxy_to, connect):
    gate = threading.Event()
    origin.otherwise(lambda e: e.wait(gate, 20) or e.reply(200), may_break=True)
    proxy = with_retry(proxy_to, origin, retry={"max_retries": 1, "on": ["timeout"], "per_try_timeout": "50ms"})
    reply = connect(proxy).get("/")
    gate.set()
    assert (reply.status, reply.json()["error"]) == (504, "per_try_timeout")
    assert len(origin.requests) == 2


def test_the_routes_timeout_is_for_all_attempts(origin, proxy_to, connect):
    gate = threading.Event()
    origin.otherwise(lambda e: e.wait(gate, 20) or e.reply(200), may_break=True)
    proxy = with_retry(proxy_to, origin, route={"timeout": "600ms"},
                       retry={"max_retries": 50, "on": ["timeout"], "per_try_timeout": "100ms"})
    begun = time.monotonic()
    reply = connect(proxy).get("/")
    took = time.monotonic() - begun
    gate.set()
    # A back-off that would end after the deadline is not waited for: the last failure is told at once.
    assert reply.status == 504 and reply.json()["error"] in ("response_timeout", "per_try_timeout")
    assert 0.59 < took < scaled(2) and 2 <= len(origin.requests) <= 6


def test_retry_after_is_waited_for(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, answers(503, retry_after="1")))
    begun = time.monotonic()
    assert connect(proxy).get("/").status == 200
    assert time.monotonic() - begun >= 0.99


def test_a_retry_after_beyond_the_timeout_goes_to_the_client(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, answers(503, retry_after="60")))
    reply = connect(proxy).get("/")
    assert (reply.status, reply.headers.get("retry-after")) == (503, "60")


def test_a_retry_after_beyond_the_timeout_goes_to_the_client_while_its_body_still_comes(origin, proxy_to, connect):
    origin.otherwise(lambda e: e.reply_early(503, headers={"Retry-After": "60"}), may_break=True)
    proxy = with_retry(proxy_to, origin, route={"timeout": "20s"})
    client = connect(proxy)
    client.send_head("PUT", "/", {"Content-Length": "10"})
    client.send(b"12345")
    reply = client.response()
    assert (reply.status, reply.headers.get("retry-after")) == (503, "60")


def test_a_retry_after_of_more_than_five_minutes_goes_to_the_client_whatever_the_timeout(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, answers(503, retry_after="301")), route={"timeout": "0s"})
    reply = connect(proxy).get("/")
    assert (reply.status, reply.headers.get("retry-after")) == (503, "301")


@pytest.mark.parametrize("how,status,token", [
    (answers(503), 503, None), (resets_before_head, 502, "origin_reset"), (closes_before_head, 502, "origin_closed")])
def test_o8_a_back_off_longer_than_the_timeout_is_not_waited_for(origin, proxy_to, connect, how, status, token):
    """What there is goes to the client at once, rather than a time-out later."""
    proxy = with_retry(proxy_to, fails(origin, how), route={"timeout": "500ms"},
                       retry={"backoff": {"base": "1h", "max": "1h"}})
    reply = connect(proxy).get("/")
    assert reply.status == status and (token is None or reply.json()["error"] == token)
    assert len(origin.requests) == 1


def test_a_body_that_comes_while_a_retry_waits_goes_with_it(origin, proxy_to, connect):
    def refuse_once(exchange):
        if len(origin.requests) == 1:
            return exchange.reply_early(503, headers={"Retry-After": "1"})
        exchange.reply(200, str(len(exchange.read_body())).encode())

    origin.otherwise(refuse_once, may_break=True)
    proxy = with_retry(proxy_to, origin, retry={"buffer": "1MiB"})
    client = connect(proxy)
    client.send_head("PUT", "/", {"Content-Length": "200000"})
    eventually(lambda: proxy.metrics()("proxy_backend_request_duration_seconds_count", default=0) == 1)
    client.send(b"x" * 100_000)
    eventually(lambda: len(origin.requests) == 2)
    client.send(b"x" * 100_000)
    assert client.response().body == b"200000"


def test_a_stream_that_goes_on_takes_no_place_in_the_budget(origin, proxy_to, connect):
    """A rolling restart leaves many long streams behind that came about by a retry."""
    release = threading.Event()

    def fail_then_stream(exchange):
        if len(origin.requests) % 2 == 1:
            return exchange.reply(503)
        exchange.start_chunked()
        exchange.chunk("begun")
        exchange.wait(release)
        exchange.end_chunks()

    origin.otherwise(fail_then_stream)
    proxy = with_retry(proxy_to, origin, retry={"max_retries": 1, "budget": "0%", "budget_min": 1})
    clients = [connect(proxy) for _ in range(4)]
    for client in clients:
        client.send_request("GET", "/")
        assert client.read_head().status == 200
        assert client.read_chunk() == b"begun"
    release.set()


def test_a_free_attempt_may_wait_for_a_script_longer_than_a_try_may_take(origin, scripted, connect):
    """The connection that is reused dies under the second request; its next endpoint is chosen slowly."""
    def close_on_second(exchange):
        if len(origin.requests) == 2:
            return exchange.close()
        exchange.reply(200, b"fine")

    origin.otherwise(close_on_second)
    proxy = scripted_retry(scripted, """function select_backend(request)
        if request.last_failure or next(request.tried) then proxy.sleep(0.3) end
      end""", origin, retry={"per_try_timeout": "100ms", "on": ["connect"]})
    client = connect(proxy)
    assert client.get("/").status == 200
    assert client.get("/").status == 200
    assert len(origin.requests) == 3


def test_no_endpoint_is_tried_twice_while_there_are_others(make_origin, proxy_to, connect):
    origins = [make_origin(f"origin{i}").otherwise(answers(503)) for i in range(14)]
    proxy = with_retry(proxy_to, *origins, retry={"max_retries": 13}, cluster={"balancer": "random"})
    assert connect(proxy).get("/").status == 503
    assert [len(origin.requests) for origin in origins] == [1] * 14


def test_a_client_that_leaves_ends_the_retries(origin, proxy_to):
    origin.otherwise(answers(503, retry_after="50"))
    proxy = with_retry(proxy_to, origin, retry={"max_retries": 100}, route={"timeout": "60s"})
    with Client(proxy.port()) as client:
        client.send_request("GET", "/")
        origin.wait_for_requests(1)
        eventually(lambda: proxy.metrics()("proxy_backend_request_duration_seconds_count", default=0) == 1)
        client.reset()
    assert proxy.wait_for_access(error="client_closed")["attempts"] == 1
    # O24: it was about to be made, and was not.
    assert proxy.metrics()("proxy_retries_total", default=0) == 0


def test_a_storm_of_failures_stays_within_the_budget(origin, proxy_to):
    """All attempts fail, 24 clients at once, each up to 5 retries: one in five is repeated at most."""
    def fail(exchange):
        time.sleep(0.02)
        exchange.reply(503)

    origin.otherwise(fail)
    proxy = with_retry(proxy_to, origin, retry={"max_retries": 5, "budget": "20%", "budget_min": 0,
                                                "backoff": {"base": "20ms", "max": "20ms"}}, log={"access": "off"})
    requests = 24 * 20

    def press():
        with Client(proxy.port(), timeout=scaled(20)) as client:
            for _ in range(20):
                assert client.get("/").status == 503

    team = [threading.Thread(target=press) for _ in range(24)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join(scaled(30))
    assert requests < len(origin.requests) <= requests * 1.2, len(origin.requests)


# -- a retry that finds no endpoint: the client hears of what went wrong first ----------------------
EJECTS = {"max_failures": 1, "max_ejected": "100%", "recovery_timeout": "60s"}


def test_a_retry_without_an_endpoint_is_the_first_failure_for_the_client(make_origin, proxy_to, connect):
    dead = make_origin("dead")
    dead.close()
    client = connect(with_retry(proxy_to, dead, cluster={"breaker": EJECTS}))
    reply = client.get("/")
    assert (reply.status, reply.json()["error"]) == (502, "connect_failed")
    assert 50 <= int(reply.headers.get("retry-after")) <= 60
    assert client.get("/").json()["error"] == "breaker_open"  # no attempt was made that could fail


def test_an_answer_not_wanted_stands_when_nobody_else_can_be_asked(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, origin.otherwise(answers(503, x_from="origin")), cluster={"breaker": EJECTS})
    reply = connect(proxy).get("/")
    assert (reply.status, reply.headers.get("x-from"), reply.body) == (503, "origin", b"no")
    assert len(origin.requests) == 1


@pytest.mark.parametrize("how", [answers(503), resets_before_head])
def test_o24_retries_that_are_made_count_and_the_one_that_is_not_does_not(make_origin, scripted, connect, how):
    """Two attempts are made, the third would be at nobody: select_backend answers in its place."""
    origin = fails(make_origin(), how, times=9)
    proxy = scripted_retry(scripted, """function select_backend(request)
      if request.attempt == 3 then return request:reply(418) end end""", origin,
                           retry={"on": ["reset", "503"], "budget": "100%", "budget_min": 9})
    assert connect(proxy).get("/").status == 418
    assert len(origin.requests) == 2
    assert proxy.metrics()("proxy_retries_total") == 1


def test_endpoints_that_go_while_a_retry_waits_leave_the_status_of_the_first_answer(origin, scripted, connect):
    origin.otherwise(answers(500))
    proxy = scripted_retry(scripted, """function select_backend(request, cluster)
        if request.attempt == 1 then return end
        proxy.log.info("at a retry")
        while cluster.endpoints[1].available do proxy.sleep(0.005) end
      end
      function on_error(request, failure) request.vars.detail = failure.detail end
      function on_response(response, request) response.headers["x-detail"] = request.vars.detail end""",
                           origin, retry={"on": ["500"]})
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(message="at a retry")
    proxy.admin(f"/clusters/origin/endpoints/{origin.address}/drain", "POST")
    reply = client.response()
    assert (reply.status, reply.json()["error"], reply.json()["status"]) == (500, "origin_status", 500)
    assert reply.headers.get("x-detail") == "500, then no_endpoint"
    assert proxy.wait_for_access(status=500)["error"] == "origin_status"
    # O24: nobody was left to be asked, so there was no retry.
    assert proxy.metrics()("proxy_retries_total", default=0) == 0


# -- scripts ------------------------------------------------------------------------------------

def scripted_retry(scripted, lua, *origins, retry=None, **config):
    return scripted(lua, *origins, config={"cluster": {"retry": {**FAST, "on": ["connect"], **(retry or {})}}, **config})


def test_a_script_asks_for_another_attempt(origin, scripted, connect):
    fails(origin, answers(401))
    proxy = scripted_retry(scripted, """
      function select_backend(request)
        request.headers["x-token"] = request.attempt == 1 and "old" or "new"
        request.headers["x-why"] = request.last_failure
      end
      function on_response(response, request)
        if response.status == 401 and request.attempt == 1 then return response:retry() end
        response.headers["x-attempts"] = request.attempt
      end""", origin)
    reply = connect(proxy).get("/")
    assert (reply.status, reply.headers.get("x-attempts")) == (200, "2")
    assert [r.headers.get("x-token") for r in origin.requests] == ["old", "new"]
    assert [r.headers.get("x-why") for r in origin.requests] == [None, "401"]
    assert proxy.metrics()("proxy_retries_total", reason="script") == 1


def test_a_script_is_told_when_there_is_no_further_attempt(origin, scripted, connect):
    origin.otherwise(answers(401))
    proxy = scripted_retry(scripted, """function on_response(response, request)
        response.headers["x-retried"] = tostring(response:retry())
      end""", origin, retry={"max_retries": 1})
    assert connect(proxy).get("/").headers.get("x-retried") == "false"
    assert len(origin.requests) == 2


def test_select_backend_may_wait_before_a_retry_and_sees_why(make_origin, scripted, connect):
    dead, alive = make_origin("dead"), make_origin("alive")
    dead.close()
    proxy = scripted_retry(scripted, """function select_backend(request, cluster)
        if request.attempt == 1 then return cluster.endpoints[1] end
        proxy.sleep(0.02)
        assert(request.tried[cluster.endpoints[1].address])
        request.headers["x-why"] = request.last_failure
        return cluster.endpoints[2]
      end""", dead, alive)
    assert connect(proxy).get("/").status == 200
    assert alive.last.headers.get("x-why") == "connect_failed"


# -- deadlines ----------------------------------------------------------------------------------

def test_a_grpc_timeout_ends_the_exchange(origin, proxy_to, connect):
    gate = threading.Event()
    origin.otherwise(lambda e: e.wait(gate, 20) or e.reply(200), may_break=True)
    reply = connect(proxy_to(origin)).get("/", {"Grpc-Timeout": "80m"})
    gate.set()
    assert (reply.status, reply.json()["error"]) == (504, "exchange_timeout")
    passed_on = origin.last.headers.get("grpc-timeout")
    assert passed_on.endswith("n") and int(passed_on[:-1]) <= 80_000_000 or passed_on == "80000u"


@pytest.mark.parametrize("timeout", ["99999999H", "2562047H"])
def test_a_grpc_timeout_of_ages_ends_nothing(origin, proxy_to, connect, timeout):
    assert connect(proxy_to(origin)).get("/", {"Grpc-Timeout": timeout}).status == 200
    assert origin.last.headers.get("grpc-timeout")[-1] == "S"


def test_a_retry_tells_the_origin_that_less_time_is_left(origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, lambda e: (time.sleep(0.05), e.reply(503))), route={"deadline_header": "X-Left-Ms"})
    assert connect(proxy).get("/", {"Grpc-Timeout": "5S"}).status == 200
    left = [int(r.headers.get("x-left-ms")) for r in origin.requests]
    assert 4900 <= left[0] <= 5000 and left[1] <= left[0] - 45
    grpc = [int(r.headers.get("grpc-timeout")[:-1]) for r in origin.requests]
    assert grpc[1] <= grpc[0] - 45_000


def test_the_deadline_header_tells_the_routes_timeout(origin, proxy_to, connect):
    connect(proxy_to(origin, route={"deadline_header": "x-left-ms", "timeout": "7s"})).get("/")
    assert 6900 <= int(origin.last.headers.get("x-left-ms")) <= 7000


def sends_garbage(exchange):
    exchange.send("SSH-2.0-OpenSSH_9.2\r\n\r\n")
    exchange.close()


@pytest.mark.parametrize("on,method,status", [
    (["bad_response"], "GET", 200), (["bad_response"], "POST", 502), (["connect", "reset", "5xx"], "GET", 502)])
def test_what_is_no_http_is_repeated_where_the_config_says_so(origin, proxy_to, connect, on, method, status):
    proxy = with_retry(proxy_to, fails(origin, sends_garbage), retry={"on": on})
    assert connect(proxy).request(method, "/").status == status
    if status == 200:
        assert proxy.metrics()("proxy_retries_total", cluster="origin", reason="bad_response") == 1


def test_a_retry_after_that_is_a_date_counts_from_the_responses_own(origin, proxy_to, connect):
    """However wrong the origin's clock is."""
    late = answers(503, Date="Sun, 06 Nov 1994 08:49:37 GMT", Retry_After="Sun, 06 Nov 1994 08:49:38 GMT")
    proxy = with_retry(proxy_to, fails(origin, late))
    begun = time.monotonic()
    assert connect(proxy).get("/").status == 200
    assert time.monotonic() - begun >= 1


def test_a_script_that_asks_for_a_retry_waits_as_long_as_the_origin_says(origin, scripted, connect):
    policy = "function on_response(response) if response.status == 429 then response:retry() end end"
    proxy = scripted(policy, fails(origin, answers(429, Retry_After="1")), config={"cluster": {"retry": FAST}})
    begun = time.monotonic()
    assert connect(proxy).get("/").status == 200
    assert time.monotonic() - begun >= 1


def test_a_script_gets_no_retry_that_would_come_too_late(origin, scripted, connect):
    policy = """function on_response(response)
  if response.status == 429 then response.headers["x-retried"] = tostring(response:retry()) end
end"""
    proxy = scripted(policy, fails(origin, answers(429, Retry_After="60")),
                     config={"cluster": {"retry": FAST}, "route": {"timeout": "5s"}})
    reply = connect(proxy).get("/")
    assert (reply.status, reply.headers.get("x-retried")) == (429, "false")


def test_an_attempt_that_is_out_of_its_time_is_repeated_unless_the_config_says_otherwise(
        origin, proxy_to, connect):
    proxy = with_retry(proxy_to, fails(origin, lambda e: e.expect_gone()), retry={"per_try_timeout": "100ms"})
    assert connect(proxy).get("/").status == 200
    assert proxy.metrics()("proxy_retries_total", cluster="origin", reason="timeout") == 1
