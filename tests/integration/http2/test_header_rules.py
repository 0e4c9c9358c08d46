# SPDX-License-Identifier: Apache-2.0
"""Each name of support/header_rules.txt in each place, over the wire, for all four pairings."""
import pytest

from support import header_rules
from support.h2 import StreamReset

RULES = header_rules.read()


def arrived(fields, rules):
    """The names of these that arrived with what was sent."""
    return {r.name for r in rules if any(r.value in value for value in fields.all(r.name))}


def sent(column, protocol):
    """What may stand in one message together."""
    return [r for r in RULES if getattr(r, column) in ("pass", "drop", "own")
            and not (protocol == "h2" and r.h2 == "refuse")]


def passing(column, protocol):
    return {r.name for r in sent(column, protocol) if getattr(r, column) == "pass"}


@pytest.fixture
def post(client_to, client_protocol):
    """A POST with a body of unknown length and these trailers."""
    def send(client, headers=(), trailers=()):
        if client_protocol == "h2":
            stream = client.start("POST", "/", headers)
            client.send_data(stream, b"data", end=not trailers)
            if trailers:
                client.send_trailers(stream, trailers)
            return client.response(stream=stream)
        client.send_head("POST", "/", [*headers, ("Transfer-Encoding", "chunked")])
        client.send("4\r\ndata\r\n0\r\n", *(f"{n}: {v}\r\n" for n, v in trailers), "\r\n")
        return client.response()
    return send


def listener(trusted):
    return {"underscores_in_headers": True, "max_header_count": 200,
            **({"trusted_proxies": ["127.0.0.1"]} if trusted else {})}


@pytest.mark.parametrize("trusted", [False, True], ids=["untrusted", "trusted"])
def test_h8_each_name_in_a_requests_head(front, client_to, client_protocol, origin, post, trusted):
    column = "trusted" if trusted else "untrusted"
    fields = sent(column, client_protocol)
    proxy = front(listener=listener(trusted))
    assert post(client_to(proxy), [(r.name, r.value) for r in fields]).status == 200
    assert arrived(origin.last.headers, fields) == passing(column, client_protocol)


@pytest.mark.parametrize("trusted", [False, True], ids=["untrusted", "trusted"])
def test_h8_each_name_in_a_requests_trailers(front, client_to, client_protocol, origin, post, trusted):
    fields = sent("trailers", client_protocol)
    proxy = front(listener=listener(trusted))
    assert post(client_to(proxy), trailers=[(r.name, r.value) for r in fields]).status == 200
    assert arrived(origin.last.trailers, fields) == passing("trailers", client_protocol)
    assert not {"x-request-id", "x-forwarded-user"} & set(origin.last.trailers.names())


@pytest.mark.parametrize("rule", [r for r in RULES if r.trailers == "refuse"], ids=lambda r: r.name)
def test_h8_a_trailer_that_frames_makes_a_request_malformed(
        front, client_to, client_protocol, origin, post, rule):
    if client_protocol == "h2" and rule.h2 == "refuse":
        pytest.skip("the client's library has no way to send it; see unit/http2")
    origin.otherwise(lambda exchange: exchange.reply(), may_break=True)
    try:
        assert post(client_to(front()), trailers=[(rule.name, rule.value)]).status == 400
    except StreamReset as reset:
        assert reset.code in (1, 8)


def answer(origin, headers, trailers):
    def handler(exchange):
        exchange.read_body()
        exchange.start_chunked(200, headers)
        exchange.chunk(b"data")
        exchange.end_chunks(trailers)
    origin.otherwise(handler)


def test_h8_each_name_in_a_responses_head(front, client_to, origin_protocol, origin):
    fields = sent("response", origin_protocol)
    answer(origin, [(r.name, r.value) for r in fields], [])
    response = client_to(front()).get("/", {"TE": "trailers"})
    assert (response.status, response.body) == (200, b"data")
    assert arrived(response.headers, fields) == passing("response", origin_protocol)


def test_h16_each_name_in_a_responses_trailers(front, client_to, origin_protocol, origin):
    """Also those that may not stand there: they are dropped, and the response is whole."""
    fields = sent("response_trailers", origin_protocol)
    assert {"host", "content-length"} <= {r.name for r in fields}
    answer(origin, [], [(r.name, r.value) for r in fields])
    client = client_to(front())
    for _ in range(2):
        response = client.get("/", {"TE": "trailers"})
        assert (response.status, response.body) == (200, b"data")
        assert arrived(response.trailers, fields) == passing("response_trailers", origin_protocol)
