# SPDX-License-Identifier: Apache-2.0
"""Trailers, version and TLS are the same to a script whichever versions the two sides speak."""
import pytest

from support import http1


@pytest.fixture
def send_with_trailers(world):
    """A POST with trailers, as the client's version has them."""
    def send(client, body=b"data", trailers=(("x-sum", "42"),)):
        if world.startswith("h2"):
            return client.request("POST", "/", body=body, trailers=dict(trailers))
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                    http1.chunked(body, trailers=trailers))
        return client.response()
    return send


def with_trailers(exchange):
    exchange.start_chunked(200)
    exchange.chunk("data")
    exchange.end_chunks([("x-sum", "42")])


def test_a_script_that_has_the_body_has_the_trailers(origin, scripted, connect, send_with_trailers):
    proxy = scripted("""function on_request(request)
        assert(request.trailers:count() == 0)
        request:body()
        request.headers["x-seen"] = request.trailers["X-Sum"]
      end""", origin)
    assert send_with_trailers(connect(proxy)).status == 200
    assert origin.last.headers.get("x-seen") == "42"
    assert (origin.last.body, origin.last.trailers.lowered()) == (b"data", [("x-sum", "42")])


def test_a_script_edits_the_requests_trailers(origin, scripted, connect, send_with_trailers):
    proxy = scripted("""function on_request(request)
        request:body()
        request.trailers["x-sum"] = nil
        request.trailers["x-mine"] = "1"
        request.trailers:add("x-mine", "2")
      end""", origin)
    assert send_with_trailers(connect(proxy)).status == 200
    assert origin.last.trailers.lowered() == [("x-mine", "1"), ("x-mine", "2")]


def test_the_requests_trailers_are_known_when_it_is_logged(origin, scripted, connect, send_with_trailers):
    proxy = scripted("""function on_log(request, response)
        proxy.log.info("done", {request = request.trailers["x-sum"], response = response.trailers["x-sum"]})
      end""", origin)
    origin.on("/", lambda exchange: (exchange.read_body(), with_trailers(exchange)))
    send_with_trailers(connect(proxy))
    line = proxy.wait_for_log(message="done")
    assert (line["request"], line["response"]) == ("42", "42")


def test_a_new_body_has_no_trailers_but_those_a_script_gives_it(origin, scripted, connect, send_with_trailers):
    proxy = scripted("function on_request(r) r:set_body('new') end", origin)
    assert send_with_trailers(connect(proxy)).status == 200
    assert (origin.last.body, origin.last.trailers.lowered()) == (b"new", [])


def test_a_new_body_may_get_trailers_of_its_own(origin, scripted, connect, send_with_trailers, world):
    """HTTP/1 has them only behind a body of unknown length, which this one is not."""
    proxy = scripted("function on_request(r) r:set_body('new'); r.trailers['x-mine'] = '1' end", origin)
    assert send_with_trailers(connect(proxy)).status == 200
    expected = [("x-mine", "1")] if world.endswith("h2") else []
    assert (origin.last.body, origin.last.trailers.lowered()) == (b"new", expected)


def test_a_new_response_body_keeps_the_trailers_that_have_come(origin, scripted, connect, world):
    """So that a gRPC status stays; to clients of HTTP/1 there is no place for them."""
    origin.on("/", with_trailers)
    proxy = scripted("function on_response(r) r:set_body(r:body():upper()) end", origin)
    response = connect(proxy).get("/", {"TE": "trailers"})
    expected = [("x-sum", "42")] if world.startswith("h2") else []
    assert (response.body, response.trailers.lowered()) == (b"DATA", expected)


def test_a_script_edits_the_responses_trailers(origin, scripted, connect):
    origin.on("/", with_trailers)
    proxy = scripted("""function on_response(response)
        response:body()
        response.trailers["x-sum"] = tonumber(response.trailers["x-sum"]) + 1
        response.trailers["x-mine"] = "1"
      end""", origin)
    response = connect(proxy).get("/", {"TE": "trailers"})
    assert response.body == b"data"
    assert sorted(response.trailers.lowered()) == [("x-mine", "1"), ("x-sum", "43")]


def test_a_trailer_given_before_the_body_joins_those_of_the_origin(origin, scripted, connect):
    origin.on("/", with_trailers)
    proxy = scripted("function on_response(r) r.trailers['x-mine'] = '1' end", origin)
    response = connect(proxy).get("/", {"TE": "trailers"})
    assert sorted(response.trailers.lowered()) == [("x-mine", "1"), ("x-sum", "42")]


@pytest.mark.parametrize("name", ["content-length", "transfer-encoding", "connection"])
def test_what_frames_a_message_is_no_trailer(origin, scripted, connect, name):
    proxy = scripted(f"function on_request(r) r.trailers['{name}'] = '1' end", origin)
    assert connect(proxy).get("/").status == 500
    assert origin.requests == []


VERSIONS = """
local function note(request) request.vars.seen = (request.vars.seen or "") .. request.version .. " " end
function on_request(request) note(request) end
function select_backend(request) note(request) end
function on_response(response, request)
  note(request)
  response.headers["x-seen"] = request.vars.seen
end
function on_log(request) proxy.log.info("done", {version = request.version}) end
"""


def test_version_is_the_clients_in_every_hook(origin, scripted, connect, world):
    proxy = scripted(VERSIONS, origin)
    version = "2" if world.startswith("h2") else "1.1"
    assert connect(proxy).get("/").headers.get("x-seen").split() == [version] * 3
    assert proxy.wait_for_log(message="done")["version"] == version


TLS = """
local function text(tls)
  return table.concat({tls.version, tls.sni, tls.alpn, tls.client and tls.client.subject or "nobody"}, " ")
end
function on_request(request)
  request.vars.tls = text(request.tls)
  request.headers["x-tls"] = request.vars.tls
end
function on_response(response, request)
  response.headers["x-same"] = tostring(text(request.tls) == request.vars.tls)
end
function on_log(request) proxy.log.info("done", {tls = text(request.tls)}) end
"""


@pytest.mark.parametrize("shown", [False, True], ids=["without certificate", "with certificate"])
def test_tls_is_the_clients_in_every_hook(origin, scripted, connect, authority, world, shown):
    proxy = scripted(TLS, origin, config={"listener": {"tls": {
        "certificates": [authority.local.entry], "client_ca": str(authority.cert),
        "client_verify": "optional"}}})
    client = connect(proxy, tls=authority.trust(authority.issue("bob") if shown else None))
    alpn = "h2" if world.startswith("h2") else "http/1.1"
    expected = f"TLSv1.3 localhost {alpn} {'CN=bob' if shown else 'nobody'}"
    for _ in range(3):
        response = client.get("/")
        assert (response.status, response.headers.get("x-same")) == (200, "true")
        assert origin.last.headers.get("x-tls") == expected
    client.close()
    assert proxy.wait_for_log(message="done")["tls"] == expected


def test_there_is_no_tls_on_cleartext(origin, scripted, connect):
    proxy = scripted("""function on_request(r) r.headers["x-tls"] = type(r.tls) end""", origin)
    connect(proxy).get("/")
    assert origin.last.headers.get("x-tls") == "nil"
