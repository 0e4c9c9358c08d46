# SPDX-License-Identifier: Apache-2.0
"""Hedging: a second attempt beside a first that is slow to answer. The first response head wins."""
import random
import threading
import time

import pytest

from support import Client, eventually
from support.faults import Blackhole
from support.h2 import ErrorCodes, H2Client

BREAKER = {"max_failures": 1, "recovery_timeout": "60s"}


def hedged(proxy_to, *origins, delay="20ms", retry=None, cluster=None, **config):
    settings = {"hedge": {"delay": delay}, **(retry or {})}
    return proxy_to(*origins, cluster={"retry": settings, **(cluster or {})}, **config)


def hedges(proxy, family="proxy_hedges_total"):
    return proxy.metrics()(family, default=0, cluster="origin")


def wait_for_hedges(proxy, count):
    eventually(lambda: hedges(proxy) == count, what=f"{count} hedges")


class Pair:
    """Two origins of which the one that is asked first answers by `first`, the other by `second`:
    functions of the exchange and the pair."""

    def __init__(self, make_origin, first, second):
        self.lock = threading.Lock()
        self.handlers = [first, second]
        self.asked = []  # origins in the order in which they were
        self.both = threading.Event()
        self.over = threading.Event()
        self.origins = [make_origin(name).otherwise(self.handle, may_break=True) for name in ("one", "two")]

    def handle(self, exchange):
        with self.lock:
            turn = len(self.asked)
            self.asked.append(exchange.origin)
            if turn == 1:
                self.both.set()
        self.handlers[min(turn, 1)](exchange, self)

    def expect_cancelled(self, turn, protocol):
        """The one that lost was told: its connection closed, its stream reset with CANCEL."""
        loser = self.asked[turn]
        if protocol == "h1":
            loser.wait_until_open(0)
        else:
            eventually(lambda: loser.last.reset == ErrorCodes.CANCEL)
            assert loser.open == 1


def is_cancelled(exchange, pair):
    exchange.expect_gone()


def answers(exchange, pair):
    exchange.reply(200, exchange.read_body() or exchange.origin.name)


def waits(exchange, pair):
    exchange.wait(pair.over)
    exchange.reply(200, exchange.origin.name)


def answers_when_both_are_asked(exchange, pair):
    exchange.wait(pair.both)
    exchange.reply(200, exchange.origin.name)


def breaks_when_both_are_asked(exchange, pair):
    exchange.wait(pair.both)
    exchange.reset()


def says_503_when_both_are_asked(exchange, pair):
    exchange.wait(pair.both)
    exchange.reply(503, b"no")


def test_a_slow_first_attempt_is_overtaken_and_cancelled(make_origin, proxy_to, connect, protocol):
    pair = Pair(make_origin, is_cancelled, answers)
    proxy = hedged(proxy_to, *pair.origins, cluster={"breaker": BREAKER})
    assert connect(proxy).get("/").text == pair.asked[1].name
    pair.expect_cancelled(0, protocol)
    assert (hedges(proxy), hedges(proxy, "proxy_hedges_won_total")) == (1, 1)
    line = proxy.wait_for_access(status=200)
    assert (line["attempts"], line["hedge"], line["endpoint"]) == (2, "won", pair.asked[1].address)
    assert proxy.metrics()("proxy_retries_total", default=0) == 0
    breakers = proxy.admin("/breakers").json()["clusters"][0]["breakers"]
    assert {(b["state"], b["failures"]) for b in breakers} == {("closed", 0)}  # who lost has not failed


def test_a_first_attempt_that_answers_first_cancels_the_hedge(make_origin, proxy_to, connect, protocol):
    pair = Pair(make_origin, answers_when_both_are_asked, is_cancelled)
    proxy = hedged(proxy_to, *pair.origins)
    assert connect(proxy).get("/").text == pair.asked[0].name
    pair.expect_cancelled(1, protocol)
    line = proxy.wait_for_access(status=200)
    assert (line["attempts"], line["hedge"], line["endpoint"]) == (2, "lost", pair.asked[0].address)
    assert (hedges(proxy), hedges(proxy, "proxy_hedges_won_total")) == (1, 0)


def test_a_client_of_http2_is_served_too(make_origin, proxy_to):
    pair = Pair(make_origin, is_cancelled, answers)
    with H2Client(hedged(proxy_to, *pair.origins).port()) as client:
        assert client.get("/").text == pair.asked[1].name


def test_a_fast_answer_needs_no_hedge(make_origin, proxy_to, connect):
    pair = Pair(make_origin, answers, answers)
    proxy = hedged(proxy_to, *pair.origins, delay="5s")
    client = connect(proxy)
    assert [client.get("/").status for _ in range(4)] == [200] * 4
    assert hedges(proxy) == 0
    assert "hedge" not in proxy.wait_for_access(status=200)


def test_a_body_that_is_held_goes_to_both(make_origin, proxy_to, connect):
    def reads_and_is_cancelled(exchange, pair):
        exchange.read_body()
        exchange.expect_gone()
    pair = Pair(make_origin, reads_and_is_cancelled, answers)
    body = b"x" * 50_000
    assert connect(hedged(proxy_to, *pair.origins)).request("PUT", "/", body=body).body == body
    assert [origin.last.body for origin in pair.asked] == [body, body]


@pytest.mark.parametrize("method,size", [("POST", 0), ("PATCH", 10), ("PUT", 50_000)])
def test_what_may_not_be_done_twice_or_is_not_held_is_never_hedged(make_origin, proxy_to, connect, method, size):
    """A GET that comes later is hedged, so the time for the request before it was over too."""
    gate = threading.Event()
    seen = []

    def handle(exchange):
        seen.append(exchange.request.method)
        exchange.read_body()
        exchange.wait(gate)
        exchange.reply(200)

    origins = [make_origin(name).otherwise(handle, may_break=True) for name in ("one", "two")]
    proxy = hedged(proxy_to, *origins, retry={"buffer": "10KiB"})
    first, later = connect(proxy), connect(proxy)
    first.send_request(method, "/", body=b"x" * size)
    eventually(lambda: seen)
    later.send_request("GET", "/")
    eventually(lambda: seen.count("GET") == 2)
    gate.set()
    assert (first.response().status, later.response().status) == (200, 200)
    assert seen.count(method) == 1


@pytest.mark.parametrize("settings", [
    {"retry": {"budget": "0%", "budget_min": 0}}, {"cluster": {"limits": {"max_requests": 1}}}],
    ids=["no budget", "no room"])
def test_without_budget_or_room_there_is_no_hedge(make_origin, proxy_to, connect, settings):
    def slow(exchange, pair):
        time.sleep(0.08)  # four delays in which nothing happens, which is what is tested
        exchange.reply(200)
    pair = Pair(make_origin, slow, slow)
    proxy = hedged(proxy_to, *pair.origins, **settings)
    client = connect(proxy)
    assert [client.get("/").status for _ in range(2)] == [200] * 2
    assert (hedges(proxy), len(pair.asked)) == (0, 2)


def test_without_another_endpoint_there_is_no_hedge_and_its_budget_is_left(make_origin, proxy_to, connect):
    seen = []

    def handle(exchange):
        seen.append(exchange)
        time.sleep(0.06)
        exchange.reply(503 if len(seen) == 1 else 200)
    origin = make_origin().otherwise(handle)
    proxy = hedged(proxy_to, origin, retry={"max_retries": 1, "budget": "0%", "budget_min": 1,
                                            "backoff": {"base": "0s"}})
    assert connect(proxy).get("/").status == 200
    assert (hedges(proxy), len(seen)) == (0, 2)


def test_a_hedge_takes_room_only_while_it_runs(make_origin, proxy_to, connect):
    pair = Pair(make_origin, is_cancelled, answers)
    proxy = hedged(proxy_to, *pair.origins, cluster={"limits": {"max_requests": 2}})
    client = connect(proxy)
    assert [client.get("/").status for _ in range(5)] == [200] * 5
    assert connect(proxy).get("/").status == 200
    assert hedges(proxy) == 1


def test_when_the_first_fails_the_hedge_goes_on(make_origin, proxy_to, connect):
    pair = Pair(make_origin, breaks_when_both_are_asked, waits)
    proxy = hedged(proxy_to, *pair.origins, cluster={"breaker": {**BREAKER, "max_ejected": "100%"}})
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(message="breaker opened", last_failure="origin_reset")  # this one did fail
    pair.over.set()
    assert client.response().text == pair.asked[1].name
    line = proxy.wait_for_access(status=200)
    assert (line["attempts"], line["hedge"]) == (2, "won")


def test_when_the_hedge_fails_the_first_goes_on(make_origin, proxy_to, connect):
    pair = Pair(make_origin, waits, breaks_when_both_are_asked)
    proxy = hedged(proxy_to, *pair.origins, cluster={"breaker": {**BREAKER, "max_ejected": "100%"}})
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(message="breaker opened", last_failure="origin_reset")
    pair.over.set()
    assert client.response().text == pair.asked[0].name
    assert proxy.wait_for_access(status=200)["hedge"] == "lost"


def test_a_status_to_retry_on_does_not_win(make_origin, proxy_to, connect):
    pair = Pair(make_origin, says_503_when_both_are_asked, waits)
    proxy = hedged(proxy_to, *pair.origins, cluster={"breaker": {**BREAKER, "max_ejected": "100%"}})
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(message="breaker opened", last_failure="503")
    pair.over.set()
    assert client.response().text == pair.asked[1].name


def test_when_both_fail_the_client_hears_of_the_last(make_origin, proxy_to, connect):
    pair = Pair(make_origin, says_503_when_both_are_asked, lambda exchange, pair: (exchange.wait(pair.over), exchange.reset()))
    proxy = hedged(proxy_to, *pair.origins, cluster={"breaker": {**BREAKER, "max_ejected": "100%"}})
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(message="breaker opened", last_failure="503")
    pair.over.set()
    reply = client.response()
    assert (reply.status, reply.json()["error"]) == (502, "origin_reset")
    assert proxy.wait_for_access(status=502)["hedge"] == "lost"


def test_after_a_hedge_has_failed_too_there_are_retries(make_origin, proxy_to, connect):
    def then(exchange, pair):
        if len(pair.asked) == 2:
            exchange.reset()
        exchange.reply(200, b"third")
    pair = Pair(make_origin, breaks_when_both_are_asked, then)
    proxy = hedged(proxy_to, *pair.origins, retry={"max_retries": 1, "backoff": {"base": "0s"}})
    assert connect(proxy).get("/").text == "third"
    assert proxy.wait_for_access(status=200)["attempts"] == 3


def test_a_retry_may_be_hedged(make_origin, proxy_to, connect):
    def handle(exchange, pair):
        turn = len(pair.asked)
        if turn == 1:
            exchange.reply(503)
        elif turn == 2:
            exchange.expect_gone()
        else:
            exchange.reply(200, b"third")
    pair = Pair(make_origin, handle, handle)
    proxy = hedged(proxy_to, *pair.origins, delay="200ms", retry={"max_retries": 1, "backoff": {"base": "0s"}})
    assert connect(proxy).get("/").text == "third"
    line = proxy.wait_for_access(status=200)
    assert (line["attempts"], line["hedge"]) == (3, "won")


def test_there_is_one_hedge_per_request(make_origin, proxy_to, connect):
    seen = []
    gate = threading.Event()

    def handle(exchange):
        seen.append(exchange)
        exchange.wait(gate)
        exchange.reply(200)
    origins = [make_origin(name).otherwise(handle, may_break=True) for name in "abc"]
    proxy = hedged(proxy_to, *origins, delay="10ms")
    client = connect(proxy)
    client.send_request("GET", "/")
    wait_for_hedges(proxy, 1)
    eventually(lambda: len(seen) == 2)
    time.sleep(0.05)  # five delays in which nothing happens
    gate.set()
    assert client.response().status == 200
    assert len(seen) == 2


def test_a_client_that_leaves_cancels_both(make_origin, proxy_to, connect, protocol):
    pair = Pair(make_origin, is_cancelled, is_cancelled)
    proxy = hedged(proxy_to, *pair.origins)
    client = connect(proxy)
    client.send_request("GET", "/")
    assert pair.both.wait(5)
    client.reset()
    for turn in (0, 1):
        pair.expect_cancelled(turn, protocol)
    line = proxy.wait_for_access(error="client_closed")
    assert (line["attempts"], line["hedge"]) == (2, "lost")


def test_the_time_for_the_response_ends_both(make_origin, proxy_to, connect, protocol):
    pair = Pair(make_origin, is_cancelled, is_cancelled)
    proxy = hedged(proxy_to, *pair.origins, route={"timeout": "100ms"})
    reply = connect(proxy).get("/")
    assert (reply.status, reply.json()["error"]) == (504, "response_timeout")
    for turn in (0, 1):
        pair.expect_cancelled(turn, protocol)


def test_each_of_the_two_has_its_own_time(make_origin, proxy_to, connect):
    pair = Pair(make_origin, is_cancelled, waits)
    proxy = hedged(proxy_to, *pair.origins, delay="50ms", retry={"per_try_timeout": "100ms"},
                   cluster={"breaker": {**BREAKER, "max_ejected": "100%"}})
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(message="breaker opened", last_failure="per_try_timeout")
    pair.over.set()
    assert client.response().text == pair.asked[1].name


def test_an_endpoint_that_does_not_even_connect_is_overtaken(make_origin, proxy_to, connect, protocol):
    """The hedge to the other endpoint needs no answer from the first."""
    with Blackhole() as nowhere:
        quick = make_origin("quick")
        proxy = hedged(proxy_to, nowhere.url, quick)
        client = connect(proxy)
        assert [client.get("/").status for _ in range(4)] == [200] * 4
        assert hedges(proxy, "proxy_hedges_won_total") >= 2


def test_many_at_once_leave_nothing_behind(make_origin, proxy_to, protocol):
    """Races decided in every order, with failures in between: all are answered, and every place taken in
    endpoints, cluster and budget is given back."""
    dice = random.Random(1)

    def handle(exchange):
        exchange.read_body()
        time.sleep(dice.random() * 0.008)
        if dice.random() < 0.1:
            exchange.reset()
        exchange.reply(503 if dice.random() < 0.1 else 200)
    origins = [make_origin(name).otherwise(handle, may_break=True) for name in "abc"]
    proxy = hedged(proxy_to, *origins, delay="2ms", cluster={"limits": {"max_requests": 24}},
                   retry={"max_retries": 2, "budget": "100%", "budget_min": 24, "backoff": {"base": "1ms"}})
    statuses = []

    def press(number):
        client = H2Client(proxy.port()) if number % 2 else Client(proxy.port())
        with client:
            for i in range(25):
                method, body = ("PUT", b"x" * 2000) if i % 3 == 0 else ("GET", None)
                statuses.append(client.request(method, "/", body=body).status)
    team = [threading.Thread(target=press, args=(number,)) for number in range(8)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join(20)
    assert len(statuses) == 200 and set(statuses) <= {200, 502, 503} and statuses.count(200) > 180
    metrics = proxy.metrics()
    assert metrics("proxy_hedges_total") > metrics("proxy_hedges_won_total") > 0
    assert metrics("proxy_requests_active") == 0
    endpoints = proxy.admin("/clusters").json()["clusters"][0]["endpoints"]
    assert [one["active"] for one in endpoints] == [0, 0, 0]
    # All 24 places are there again: so many GETs are under way at once.
    gate = threading.Event()
    for origin in origins:
        origin.otherwise(lambda exchange: (exchange.wait(gate), exchange.reply()), may_break=True)
    clients = [Client(proxy.port()) for _ in range(24)]
    before = sum(len(origin.requests) for origin in origins)
    for client in clients:
        client.send_request("POST", "/")
    eventually(lambda: sum(len(origin.requests) for origin in origins) == before + 24)
    gate.set()
    assert [client.response().status for client in clients] == [200] * 24
    for client in clients:
        client.close()


def with_script(proxy_to, lua, pair, **more):
    return hedged(proxy_to, *pair.origins, scripts={"policy.lua": lua}, policies={"policy": "policy.lua"}, **more)


def test_select_backend_runs_for_the_hedge_too(make_origin, proxy_to, connect):
    pair = Pair(make_origin, is_cancelled, answers)
    proxy = with_script(proxy_to, """
      function select_backend(request, cluster)
        local tried = 0
        for _ in pairs(request.tried) do tried = tried + 1 end
        proxy.log.info("asked", { attempt = request.attempt, tried = tried })
        for _, endpoint in ipairs(cluster.endpoints) do
          if not request.tried[endpoint.address] then return endpoint end
        end
      end
      function on_response(response) response.headers["x-from"] = response.endpoint.address end""", pair)
    reply = connect(proxy).get("/")
    assert reply.headers.get("x-from") == pair.asked[1].address
    proxy.wait_for_log(message="asked", attempt=2, tried=1)


def test_a_script_that_names_the_same_endpoint_again_gets_no_hedge(make_origin, proxy_to, connect):
    def slow(exchange, pair):
        time.sleep(0.06)
        exchange.reply(200)
    pair = Pair(make_origin, slow, slow)
    proxy = with_script(proxy_to, "function select_backend(_, cluster) return cluster.endpoints[1] end", pair)
    client = connect(proxy)
    assert [client.get("/").status for _ in range(2)] == [200] * 2
    assert (hedges(proxy), len(pair.asked)) == (0, 2)


WAITS = """function select_backend(request)
    if request.attempt == 1 then return end
    proxy.log.info("waiting")
    proxy.sleep(%s)
    proxy.log.info("waited")
  end
  function on_response(response) response.headers["x-attempts"] = response.attempts end"""


def test_an_answer_does_not_wait_for_the_choice_of_a_second_endpoint(make_origin, proxy_to, connect):
    pair = Pair(make_origin, waits, answers)
    proxy = with_script(proxy_to, WAITS % 5, pair)
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(message="waiting")
    pair.over.set()
    reply = client.response()
    assert (reply.text, reply.headers.get("x-attempts")) == (pair.asked[0].name, "1")
    assert hedges(proxy) == 0


def test_the_second_endpoint_is_asked_although_the_first_fails_during_the_choice(make_origin, proxy_to, connect):
    pair = Pair(make_origin, lambda exchange, pair: (exchange.wait(pair.over), exchange.reset()), answers)
    proxy = with_script(proxy_to, WAITS % 0.2, pair, cluster={"breaker": {**BREAKER, "max_ejected": "100%"}})
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(message="waiting")
    pair.over.set()
    proxy.wait_for_log(message="breaker opened")
    reply = client.response()
    assert (reply.status, reply.text, reply.headers.get("x-attempts")) == (200, pair.asked[1].name, "2")
    assert proxy.wait_for_access(status=200)["hedge"] == "won"


def test_a_choice_that_fails_for_the_hedge_ends_nothing(make_origin, proxy_to, connect):
    pair = Pair(make_origin, waits, answers)
    proxy = with_script(proxy_to, """
      function select_backend(request)
        if request.attempt > 1 then error("no more") end
      end""", pair)
    client = connect(proxy)
    client.send_request("GET", "/")
    proxy.wait_for_log(hook="select_backend")
    pair.over.set()
    assert (client.response().text, hedges(proxy)) == (pair.asked[0].name, 0)


def test_without_the_key_there_are_no_hedges(make_origin, proxy_to, connect):
    pair = Pair(make_origin, lambda exchange, pair: (time.sleep(0.03), exchange.reply(200)), answers)
    proxy = proxy_to(*pair.origins)
    assert connect(proxy).get("/").status == 200
    assert (hedges(proxy), len(pair.asked)) == (0, 1)
