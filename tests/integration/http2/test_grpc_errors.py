# SPDX-License-Identifier: Apache-2.0
"""A gRPC client understands grpc-status only: the proxy's own answers speak its language."""
import pytest

GRPC = {"Content-Type": "application/grpc", "TE": "trailers"}


@pytest.fixture
def origin_that_never_answers(make_any_origin):
    return make_any_origin("h2").otherwise(lambda exchange: exchange.expect_gone(), may_break=True)


@pytest.mark.parametrize("config,status", [
    ({"route": {"match": {"path_prefix": "/other"}}}, "12"),          # no route: unimplemented
    ({"cluster": {"endpoints": ["http://127.0.0.1:1"]}}, "14"),      # nobody there: unavailable
])
def test_a_local_reply_is_trailers_only(origin, h2_front, h2_client, config, status):
    response = h2_client(h2_front(origin, **config)).post("/pkg.Service/Call", b"\0\0\0\0\0", GRPC)
    assert (response.status, response.body) == (200, b"")
    assert response.headers.get("content-type") == "application/grpc"
    assert response.headers.get("grpc-status") == status
    assert response.headers.get("grpc-message")


def test_a_deadline_ends_the_call_though_the_origin_ignores_it(origin_that_never_answers, h2_front, h2_client):
    origin = origin_that_never_answers
    proxy = h2_front(origin)
    response = h2_client(proxy).post("/pkg.Service/Call", b"\0\0\0\0\0", {**GRPC, "Grpc-Timeout": "150m"})
    assert (response.status, response.headers.get("grpc-status")) == (200, "4")  # deadline exceeded
    assert proxy.wait_for_access()["error"] == "exchange_timeout"
    assert origin.last.headers.get("grpc-timeout"), "it was told, and did not care"


def test_a_scripts_refusal_is_one_too(scripted, h2_client):
    proxy = scripted("function on_request(r) r:reply(401, 'who 100% are you?') end",
                     config={"route": {"echo": True}})
    response = h2_client(proxy).post("/", b"", GRPC)
    assert response.headers.get("grpc-status") == "16"
    assert response.headers.get("grpc-message") == "who 100%25 are you?"


def test_other_clients_get_problem_details(origin, h2_front, h2_client):
    proxy = h2_front(origin, route={"match": {"path_prefix": "/other"}})
    response = h2_client(proxy).get("/", {"Content-Type": "application/grpc-web"})
    assert (response.status, response.json()["error"]) == (404, "no_route")
