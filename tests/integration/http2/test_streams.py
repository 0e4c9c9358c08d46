# SPDX-License-Identifier: Apache-2.0
"""Many streams on one connection: how they share it, and how it ends."""
import contextlib
import signal
import socket
import struct
import threading
import time

import h2.settings
import pytest

from support import eventually, scaled
from support.h2 import ErrorCodes, StreamReset
from support.h2frames import GET, HEADERS, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, RawH2, headers

STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


@pytest.fixture
def origin(make_any_origin):
    return make_any_origin("h2")


def meeting(origin, count, path="/"):
    """Answers only when `count` requests are there at once."""
    gate = threading.Barrier(count, timeout=scaled(10))

    def meet(exchange):
        gate.wait()
        exchange.reply(200, b"met")
    origin.on(path, meet)


def test_many_streams_share_one_connection_to_the_origin(origin, h2_front, h2_client):
    meeting(origin, 50)
    client = h2_client(h2_front(origin))
    streams = [client.start("GET", "/", end=True) for _ in range(50)]
    assert [client.response(stream=s).body for s in streams] == [b"met"] * 50
    assert origin.connections == 1


def test_clients_of_http_1_share_one_connection_to_the_origin(origin, h2_front, connect):
    meeting(origin, 8)
    proxy = h2_front(origin)
    clients = [connect(proxy) for _ in range(8)]
    for client in clients:
        client.send_request("GET", "/")
    assert [client.response().body for client in clients] == [b"met"] * 8
    assert origin.connections == 1


def data_segments(sock):
    """How many segments with data have arrived: tcpi_data_segs_in of struct tcp_info."""
    return struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 152)[0]


def test_responses_of_one_turn_leave_together(make_any_origin, proxy_to, h2_client):
    """What several origins said is read in one turn of the loop; the client gets it in one segment."""
    origin = make_any_origin("h1")
    go_on, answered = threading.Event(), threading.Semaphore(0)

    def answer(exchange):
        exchange.wait(go_on)
        exchange.reply(200, b"ok")
        answered.release()
    origin.on("/held", answer)
    proxy = proxy_to(origin)
    client = h2_client(proxy)
    assert client.get("/").status == 200  # what a connection begins with is behind it
    streams = [client.start("GET", "/held", end=True) for _ in range(8)]
    origin.wait_for_requests(9)
    proxy.signal(signal.SIGSTOP)
    eventually(proxy.stopped)
    before = data_segments(client.sock)
    go_on.set()
    for _ in streams:
        assert answered.acquire(timeout=scaled(5))
    proxy.signal(signal.SIGCONT)
    assert [client.response(stream=s).body for s in streams] == [b"ok"] * 8
    assert data_segments(client.sock) == before + 1


def test_connections_grow_when_the_origins_streams_run_out(make_any_origin, h2_front, h2_client):
    origin = make_any_origin("h2", settings={STREAMS: 2})
    meeting(origin, 6)
    client = h2_client(h2_front(origin))
    streams = [client.start("GET", "/", end=True) for _ in range(6)]
    assert [client.response(stream=s).body for s in streams] == [b"met"] * 6
    assert origin.connections == 3


@pytest.mark.parametrize("allowed", [1, 10])
def test_an_origin_that_takes_few_streams_gets_more_connections_and_refuses_none(
        make_any_origin, h2_front, h2_client, allowed):
    """However many wait before the origin has said how many it takes. python3-h2 breaks a connection
    off that gets more, and the proxy must not need another attempt."""
    origin = make_any_origin("h2", settings={STREAMS: allowed})
    meeting(origin, 30)
    proxy = h2_front(origin)
    client = h2_client(proxy)
    for _ in range(2):
        streams = [client.start("GET", "/", end=True) for _ in range(30)]
        assert [client.response(stream=s).body for s in streams] == [b"met"] * 30
    assert origin.connections == 30 / allowed
    assert {line["attempts"] for line in proxy.wait_for_access(count=60)} == {1}


@pytest.mark.parametrize("allowed", [1, 10])
def test_few_streams_and_few_connections_make_requests_wait_not_fail(
        make_any_origin, h2_front, h2_client, allowed):
    origin = make_any_origin("h2", settings={STREAMS: allowed})
    meeting(origin, 2 * allowed)
    proxy = h2_front(origin, cluster={"pool": {"max_connections": 2}})
    client = h2_client(proxy)
    streams = [client.start("GET", "/", end=True) for _ in range(6 * allowed)]
    assert [client.response(stream=s).body for s in streams] == [b"met"] * 6 * allowed
    assert origin.connections == 2
    assert {line["attempts"] for line in proxy.wait_for_access(count=6 * allowed)} == {1}


def test_an_origin_may_take_fewer_streams_later(origin, h2_front, h2_client):
    """From then on further connections are made, also for those that wait already."""
    meeting(origin, 3)
    proxy = h2_front(origin)
    client = h2_client(proxy)
    streams = [client.start("GET", "/", end=True) for _ in range(2)]
    origin.wait_for_requests(2)
    side = origin.sides[0]
    with side.lock:
        side.h2.update_settings({STREAMS: 1})
        side.flush()
        side.lock.wait_for(lambda: side.h2.local_settings.max_concurrent_streams == 1, scaled(5))
    streams.append(client.start("GET", "/", end=True))
    assert [client.response(stream=s).body for s in streams] == [b"met"] * 3
    assert origin.connections == 2


def test_the_cap_of_connections_makes_streams_wait(make_any_origin, h2_front, h2_client):
    origin = make_any_origin("h2", settings={STREAMS: 2})
    client = h2_client(h2_front(origin, cluster={"pool": {"max_connections": 1}}))
    streams = [client.start("GET", "/", end=True) for _ in range(20)]
    assert [client.response(stream=s).status for s in streams] == [200] * 20
    assert origin.connections == 1


def test_a_connection_is_replaced_after_max_requests(origin, h2_front, h2_client):
    client = h2_client(h2_front(origin, cluster={"pool": {"max_requests": 2}}))
    for _ in range(6):
        assert client.get("/").status == 200
    assert origin.connections == 3
    origin.wait_until_open(0)


def test_a_refused_stream_is_tried_again_even_with_a_post(origin, h2_front, h2_client):
    refused = []

    def refuse_first(side, stream):
        if not refused:
            refused.append(stream)
            side.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return True
        return False
    origin.on_stream = refuse_first
    origin.on("/", lambda exchange: exchange.reply(200, exchange.read_body()))
    proxy = h2_front(origin)
    assert h2_client(proxy).post("/", b"the body").body == b"the body"
    assert len(origin.requests) == 1
    assert proxy.wait_for_access()["attempts"] == 2


@pytest.mark.parametrize("on,attempts,status", [("refused", 4, 200), ("connect", 2, 502)])
def test_streams_refused_again_are_repeated_where_retries_say_so(origin, h2_front, h2_client, on, attempts, status):
    refused = []

    def refuse_three(side, stream):
        if len(refused) == 3:
            return False
        refused.append(stream)
        side.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
        return True
    origin.on_stream = refuse_three
    origin.on("/", lambda exchange: exchange.reply(200, exchange.read_body()))
    proxy = h2_front(origin, cluster={"retry": {"max_retries": 2, "on": [on], "backoff": {"base": "0s"}}})
    reply = h2_client(proxy).post("/", b"the body")
    assert reply.status == status
    assert (reply.body == b"the body") if status == 200 else (reply.json()["error"] == "stream_refused")
    assert len(origin.requests) == (1 if status == 200 else 0)  # what is refused is not executed
    assert proxy.wait_for_access()["attempts"] == attempts
    retried = proxy.metrics()("proxy_retries_total", default=0, reason="refused")
    assert retried == attempts - 2  # the first one is free


def test_a_goaway_lets_streams_finish_and_new_ones_go_elsewhere(origin, h2_front, h2_client):
    told, release = threading.Event(), threading.Event()

    def last(exchange):
        exchange.side.send_goaway(exchange.stream)
        told.set()
        exchange.wait(release)
        exchange.reply(200, b"last")
    origin.on("/last", last)
    origin.on("/", body=b"fresh")
    proxy = h2_front(origin)
    client = h2_client(proxy)
    first = client.start("GET", "/last", end=True)
    assert told.wait(scaled(5))
    assert client.get("/").body == b"fresh"
    assert origin.connections == 2
    release.set()
    assert client.response(stream=first).body == b"last"


def test_streams_behind_a_goaway_are_tried_again_even_with_a_post(origin, h2_front, h2_client):
    """They were under way when the origin said that it has not looked at them."""
    release, streams = threading.Event(), []

    def leave_at_the_second(side, stream):
        streams.append(stream)
        if len(streams) != 2:
            return False
        side.send_goaway(streams[0])
        return True
    origin.on_stream = leave_at_the_second
    origin.on("/last", lambda exchange: (exchange.wait(release), exchange.reply(200, b"last")))
    origin.on("/", lambda exchange: exchange.reply(200, exchange.read_body()))
    proxy = h2_front(origin)
    client = h2_client(proxy)
    first = client.start("GET", "/last", end=True)
    origin.wait_for_requests(1)
    assert client.post("/", b"the body").body == b"the body"
    release.set()
    assert client.response(stream=first).body == b"last"
    assert proxy.wait_for_access(path="/")["attempts"] == 2
    assert proxy.wait_for_access(path="/last")["attempts"] == 1
    assert (origin.connections, len(streams), origin.paths()) == (2, 3, ["/last", "/"])


def test_a_cancelled_stream_leaves_the_connection_usable(origin, h2_front, h2_client):
    origin.on("/slow", lambda exchange: exchange.expect_gone(), may_break=True)
    proxy = h2_front(origin)
    client = h2_client(proxy)
    for _ in range(5):
        client.cancel(client.start("GET", "/slow", end=True))
        assert client.get("/").status == 200
    assert origin.connections == 1


def test_a_silent_connection_is_given_up(origin, h2_front, h2_client):
    """An origin that answers neither requests nor PINGs: the next request gets a new connection."""
    origin.on("/", body=b"fine")
    stuck = threading.Event()

    def hang(exchange):
        with exchange.side.lock:  # its reader can not answer PINGs meanwhile
            exchange.wait(stuck, timeout=10)
    origin.on("/hang", hang, may_break=True)
    proxy = h2_front(origin, route={"timeout": "100ms"}, cluster={"connect_timeout": "300ms"})
    client = h2_client(proxy)
    try:
        assert client.get("/hang").status == 504
        assert client.get("/").body == b"fine"
        assert origin.connections == 2
    finally:
        stuck.set()


def test_a_try_that_takes_too_long_casts_doubt_on_its_connection(origin, h2_front, h2_client):
    """The next try does not go where the one before has found nobody."""
    stuck = threading.Event()

    def hang_first(exchange):
        if exchange.side is origin.sides[0]:
            with exchange.side.lock:  # its reader can not answer PINGs meanwhile
                return exchange.wait(stuck, timeout=10)
        exchange.reply(200, b"fine")
    origin.on("/", hang_first, may_break=True)
    proxy = h2_front(origin, cluster={"retry": {"max_retries": 1, "on": ["timeout"], "per_try_timeout": "100ms"}})
    try:
        assert h2_client(proxy).get("/").body == b"fine"
        assert origin.connections == 2
    finally:
        stuck.set()


def test_pings_keep_watch_over_silent_streams(origin, h2_front, h2_client):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply(200, b"late")
    origin.on("/", slow)
    client = h2_client(h2_front(origin, cluster={"pool": {"ping_interval": "50ms"}}))
    stream = client.start("GET", "/", end=True)
    origin.wait_for_requests(1)
    with origin.sides[0].lock:
        assert origin.sides[0].lock.wait_for(lambda: origin.sides[0].pings >= 3, scaled(5))
    release.set()
    assert client.response(stream=stream).body == b"late"


@pytest.mark.parametrize("retry, status, attempts", [({}, 502, 1), ({"max_retries": 1, "on": ["reset"]}, 200, 2)])
def test_a_connection_whose_pings_stay_unanswered_is_given_up(origin, h2_front, h2_client, retry, status, attempts):
    def fall_silent(exchange):
        if exchange.connection == 0:
            exchange.side.ignore_pings()
            exchange.expect_gone()
        exchange.reply(200, b"again")
    origin.on("/", fall_silent, may_break=True)
    proxy = h2_front(origin, cluster={"pool": {"ping_interval": "100ms"}, "connect_timeout": "20s", "retry": retry})
    begin = time.monotonic()
    assert h2_client(proxy).get("/").status == status
    assert 0.15 < time.monotonic() - begin < scaled(2)  # an interval without a word, and one without an answer
    line = proxy.wait_for_access()
    assert (line["attempts"], line.get("error")) == (attempts, "origin_reset" if status == 502 else None)
    origin.wait_until_open(attempts - 1)


def test_an_idle_client_is_told_goodbye(origin, h2_front, h2_client):
    client = h2_client(h2_front(origin, listener={"idle_timeout": "200ms"}))
    assert client.get("/").status == 200
    client.expect_goaway()
    client.expect_end()


def test_a_client_that_says_nothing_is_closed(origin, h2_front, h2_client):
    client = h2_client(h2_front(origin, listener={"idle_timeout": "200ms"}))
    client.expect_goaway()
    client.expect_end()


def test_the_allowed_number_of_streams_is_announced(origin, h2_front, h2_client):
    client = h2_client(h2_front(origin, listener={"http2": {"max_concurrent_streams": 3}}))
    client.get("/")
    assert client.h2.remote_settings.max_concurrent_streams == 3


@pytest.fixture
def full(origin, h2_front):
    """Clients that have three streams open, as many as allowed: `full(acknowledged=False)`; and what
    lets those go on."""
    release = threading.Event()
    origin.on("/", lambda exchange: (exchange.wait(release), exchange.reply(200)), may_break=True)
    proxy = h2_front(origin, listener={"http2": {"max_concurrent_streams": 3}})
    with contextlib.ExitStack() as clients:
        def start(**kwargs):
            client = clients.enter_context(RawH2(proxy.port(), **kwargs))
            client.send(*(headers(stream, *GET) for stream in (1, 3, 5)))
            origin.wait_for_requests(3)
            return client, release
        yield start
    release.set()
    assert len(origin.requests) == 3


def test_a_stream_too_many_is_refused_and_the_others_go_on(full):
    """As long as the client may not have heard how many are allowed."""
    client, release = full(acknowledged=False)
    client.send(headers(7, *GET))
    assert client.until([RST_STREAM])[2:] == (7, struct.pack("!I", REFUSED_STREAM))
    release.set()
    assert {client.until([HEADERS])[2] for _ in range(3)} == {1, 3, 5}


def test_a_stream_too_many_is_a_breach_of_the_protocol_for_who_knows_better(full):
    client, _ = full()
    client.send(headers(7, *GET))
    assert client.goaway() == PROTOCOL_ERROR


def test_a_drain_finishes_the_streams_that_run(origin, h2_front, h2_client):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply(200, b"finished")
    origin.on("/", slow)
    proxy = h2_front(origin)
    client = h2_client(proxy)
    streams = [client.start("GET", "/", end=True) for _ in range(3)]
    origin.wait_for_requests(3)
    proxy.signal(signal.SIGTERM)
    client.expect_goaway()
    release.set()
    assert [client.response(stream=s).body for s in streams] == [b"finished"] * 3
    client.expect_end()
    assert proxy.wait_for_exit() == 0


def test_a_reload_leaves_streams_alone(origin, h2_front, h2_client):
    release = threading.Event()

    def slow(exchange):
        exchange.wait(release)
        exchange.reply(200, b"finished")
    origin.on("/", slow)
    proxy = h2_front(origin)
    client = h2_client(proxy)
    stream = client.start("GET", "/", end=True)
    origin.wait_for_requests(1)
    proxy.signal(signal.SIGHUP)
    release.set()
    assert client.response(stream=stream).body == b"finished"
    assert client.get("/").status == 200


def test_a_client_that_opens_no_window_loses_its_stream(origin, h2_front, h2_client):
    origin.on("/", body=b"x" * 200_000)
    proxy = h2_front(origin, listener={"idle_timeout": "200ms"}, route={"idle_timeout": "200ms"})
    client = h2_client(proxy)
    client.hold_windows = True
    stream = client.start("GET", "/", end=True)
    with pytest.raises(StreamReset):
        client.response(stream=stream)


def test_http_2_can_be_switched_off(origin, h2_front, connect):
    client = connect(h2_front(origin, listener={"http2": {"enabled": False}}))
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert client.response().status in (400, 505)


@pytest.mark.parametrize("cut", [1, 3, 10, 23])
def test_a_preface_may_arrive_in_pieces(origin, h2_front, connect, cut):
    client = connect(h2_front(origin))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    client.send(preface[:cut])
    client.expect_silence(0.02)
    client.send(preface[cut:], b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    assert client.read_exactly(9)[3] == 4  # SETTINGS


def test_a_request_that_begins_like_a_preface_is_http_1(origin, h2_front, connect):
    client = connect(h2_front(origin))
    client.send("P")
    client.expect_silence(0.02)
    client.send("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert client.response().status == 200


def test_a_request_fails_over_while_an_origin_shuts_down(make_any_origin, h2_front, h2_client):
    """GOAWAY, the port closed, one long stream still running: its end is not worth waiting for."""
    leaving, other = make_any_origin("h2"), make_any_origin("h2")
    told, release = threading.Event(), threading.Event()

    def long(exchange):
        leaving.stop_listening()
        exchange.side.send_goaway(exchange.stream)
        told.set()
        exchange.wait(release)
        exchange.reply(200, b"long")
    leaving.on("/long", long)
    other.on("/long", long)
    other.on("/", body=b"other")
    proxy = h2_front(leaving, other, cluster={"balancer": "round_robin",
                                              "retry": {"max_retries": 1, "on": ["connect"]}})
    client = h2_client(proxy)
    first = client.start("GET", "/long", end=True)
    assert told.wait(scaled(5))
    begin = time.monotonic()
    for _ in range(4):
        assert client.get("/").body == b"other"
    assert time.monotonic() - begin < scaled(2)
    release.set()
    assert client.response(stream=first).body == b"long"
