# SPDX-License-Identifier: Apache-2.0
"""Retries that a script asks for while the request's body still arrives: the next attempt sends all of it, or
there is none."""
import pytest

from support.h2 import H2Client

FIRST, REST = b"f" * 1000, b"r" * 20_000
# As the hook ends, as it waits, and after the body has come.
POLICIES = {
    "then waits": "response:retry() proxy.log.info('deciding') proxy.sleep(0.3)",
    "waits before": "proxy.log.info('deciding') proxy.sleep(0.3) response:retry()",
    "then fails": "response:retry() proxy.log.info('deciding') proxy.sleep(0.3) error('oh')",
}


def busy_once(origin, keeps_open=False):
    """The first attempt is refused before its body has ended, the next gets an answer that repeats its own."""
    def handle(exchange):
        if len(origin.requests) > 1:
            return exchange.reply(200, exchange.read_body())
        exchange.read_chunk()
        if not keeps_open:
            return exchange.reply_early(503, b"busy")
        exchange.start_chunked(503)
        exchange.chunk("busy")
        exchange.wire.read_to_close()
        exchange.close()
    return origin.otherwise(handle, may_break=True)


def start(scripted, origin, what, buffer="64KiB"):
    policy = f"function on_response(response) if response.status == 503 then {POLICIES[what]} end end"
    retry = {"max_retries": 2, "on": ["connect"], "buffer": buffer, "backoff": {"base": "1ms", "max": "2ms"}}
    return scripted(policy, origin, config={"cluster": {"retry": retry}})


@pytest.mark.parametrize("keeps_open", [False, True], ids=["whole answer", "begun answer"])
@pytest.mark.parametrize("what", POLICIES)
def test_a_body_that_ends_while_a_retry_is_decided_is_sent_whole(origin, scripted, connect, what, keeps_open):
    proxy = start(scripted, busy_once(origin, keeps_open), what)
    client = connect(proxy)
    client.send_head("PUT", "/", {"Transfer-Encoding": "chunked"})
    client.send(b"%x\r\n%s\r\n" % (len(FIRST), FIRST))
    proxy.wait_for_log(message="deciding")
    client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(REST), REST))
    response = client.response()
    assert (response.status, response.body == FIRST + REST) == (200, True), response.body[:100]
    assert len(origin.requests) == 2


def test_a_retry_whose_body_ends_after_it_has_begun_sends_it_whole(origin, scripted, connect):
    proxy = start(scripted, busy_once(origin), "then waits")
    client = connect(proxy)
    client.send_head("PUT", "/", {"Transfer-Encoding": "chunked"})
    client.send(b"%x\r\n%s\r\n" % (len(FIRST), FIRST))
    origin.wait_for_requests(2)
    client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(REST), REST))
    response = client.response()
    assert (response.status, response.body == FIRST + REST) == (200, True)


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("what", POLICIES)
def test_of_a_body_too_long_to_be_kept_the_answer_at_hand_is_used(origin, scripted, connect, what, protocol):
    proxy = start(scripted, busy_once(origin), what, buffer="4KiB")
    if protocol == "HTTP/2":
        with H2Client(proxy.port()) as client:
            stream = client.start("PUT", "/")
            client.send_data(stream, FIRST)
            proxy.wait_for_log(message="deciding")
            client.send_data(stream, REST, end=True)
            response = client.response(stream=stream)
    else:
        client = connect(proxy)
        client.send_head("PUT", "/", {"Transfer-Encoding": "chunked"})
        client.send(b"%x\r\n%s\r\n" % (len(FIRST), FIRST))
        proxy.wait_for_log(message="deciding")
        client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(REST), REST))
        response = client.response()
    assert (response.status, bytes(response.body)) == (503, b"busy")
    assert len(origin.requests) == 1
