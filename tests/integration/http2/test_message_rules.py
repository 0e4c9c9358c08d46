# SPDX-License-Identifier: Apache-2.0
"""Rules of HTTP that hold in each pairing of protocols: Date, Via, and the rate of request bodies."""
import email.utils
import time

import pytest

from support import scaled
from support.h2frames import DATA, END_STREAM, HEADERS, POST, RawH2, frame, headers

OLD = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("status", [200, 204, 404])
def test_h11_a_response_without_date_gets_one(origin, front, client_to, status):
    origin.on("/", status=status)
    response = client_to(front()).get("/")
    assert response.status == status
    (date,) = response.headers.all("date")
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < scaled(5)


def test_h11_an_origins_own_date_stays(origin, front, client_to):
    origin.on("/", headers={"Date": OLD})
    assert client_to(front()).get("/").headers.all("date") == [OLD]


def test_h13_via_names_the_version_that_came_from_each_side(
        origin, front, client_to, client_protocol, origin_protocol):
    version = {"h1": "1.1", "h2": "2.0"}
    client = client_to(front(listener={"via": "add"}))
    response = client.get("/", {"Via": "1.1 outer"})
    via = ", ".join(origin.last.headers.all("via")).split(", ")
    name = via[-1].split()[1]
    assert via == ["1.1 outer", f"{version[client_protocol]} {name}"] and name.startswith("tidegate-")
    assert response.headers.all("via") == [f"{version[origin_protocol]} {name}"]
    looped = client.get("/", {"Via": f"{version[client_protocol]} {name}"})
    assert (looped.status, looped.json()["error"]) == (508, "loop_detected")


@pytest.mark.parametrize("bytes_each", [1, 4])
def test_h25_a_slow_body_of_http_2_is_given_up(origin, front, origin_protocol, bytes_each):
    origin.otherwise(lambda exchange: exchange.reply(), may_break=True)
    proxy = front(listener={"body_timeout": "400ms"})
    with RawH2(proxy.port()) as client:
        assert drip(client, b"x" * bytes_each) == (HEADERS, 1)
    assert proxy.wait_for_access(status=408)["error"] == "request_timeout"


def test_h25_one_that_keeps_the_rate_is_taken(origin, front):
    proxy = front(listener={"body_timeout": "400ms"})
    with RawH2(proxy.port()) as client:
        assert drip(client, b"x" * 256, seconds=1.2) is None
        client.send(frame(DATA, END_STREAM, 1))
        client.wire.set_timeout(5)
        assert client.until([HEADERS])[2] == 1
    assert proxy.wait_for_access(count=1)[0]["status"] == 200


def drip(client, drop, seconds=3):
    """Sends a body drop by drop; gives type and stream of the response's first frame, if one comes by then."""
    client.send(headers(1, *POST, end=False))
    client.wire.set_timeout(0.05)
    begin = time.monotonic()
    while time.monotonic() - begin < scaled(seconds):
        client.send(frame(DATA, 0, 1, drop))
        try:
            got = client.until([HEADERS])
        except AssertionError:  # nothing came in this while
            continue
        return got and (got[0], got[2])
    return None
