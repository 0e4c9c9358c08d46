# SPDX-License-Identifier: Apache-2.0
"""Cookies that an HTTP/2 client sends in crumbs (RFC 9113 8.2.3) are one field everywhere else."""
import pytest

CRUMBS = [("cookie", f"c{n}={n}") for n in range(120)]
JOINED = "; ".join(value for _, value in CRUMBS)


def test_h3_the_origin_sees_one_cookie(front, origin, h2_client):
    client = h2_client(front())
    assert client.get("/", CRUMBS).status == 200
    assert origin.last.headers.all("cookie") == [JOINED]


@pytest.mark.parametrize("others, status", [(90, 200), (110, 431)])
def test_h3_all_other_fields_are_counted(front, origin, h2_client, others, status):
    client = h2_client(front())
    fields = [(f"x-{n}", "1") for n in range(others)]
    assert client.get("/", [*fields[::2], *CRUMBS, *fields[1::2]]).status == status


def test_h3_the_bytes_are_counted(front, h2_client):
    client = h2_client(front(), lax=True)
    assert client.get("/", [("cookie", "x" * 6000)] * 12).status == 431


def test_h3_a_script_sees_one_cookie(scripted, h2_client):
    proxy = scripted("function on_request(r) r:reply(200, r.headers.cookie) end", config={"route": {"echo": True}})
    assert h2_client(proxy).get("/", CRUMBS[:3]).text == "c0=0; c1=1; c2=2"
