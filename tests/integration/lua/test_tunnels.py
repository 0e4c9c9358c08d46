# SPDX-License-Identifier: Apache-2.0
"""What scripts see of requests that become tunnels."""
import pytest

from support import eventually


LOOKS = """
    function on_response(response, request)
      local body, why = request:body()
      response.headers["x-body"] = ("<%s %s>"):format(tostring(body), tostring(why))
    end
    function on_log(request) proxy.log.info("logged", { body = tostring((request:body())) }) end"""


@pytest.mark.parametrize("what", ["upgrade", "CONNECT"])
def test_the_body_of_a_request_that_became_a_tunnel_is_empty(origin, scripted, connect, what):
    """What follows belongs to the tunnel, which begins when the hook has ended."""
    route = {"allow_connect": True} if what == "CONNECT" else {}
    origin.on("/ws", lambda e: (e.take_over(), e.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"), e.close()))
    proxy = scripted(LOOKS, origin, config={"route": route})
    client = connect(proxy)
    if what == "CONNECT":
        client.send_head("CONNECT", "a.example:1", {"Host": "a.example:1"})
    else:
        client.send_head("GET", "/ws", {"Connection": "upgrade", "Upgrade": "chat"})
    head = client.read_head()
    assert (head.status, head.headers.get("x-body")) == (200 if what == "CONNECT" else 101, "< nil>")
    client.close()
    assert proxy.wait_for_log(message="logged")["body"] == ""


def test_the_body_of_a_request_that_asked_for_an_upgrade_has_been_sent(origin, scripted, connect):
    def agrees(exchange):
        exchange.read_body()
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        exchange.close()
    origin.on("/ws", agrees)
    client = connect(scripted(LOOKS, origin))
    client.send_request("POST", "/ws", {"Connection": "upgrade", "Upgrade": "chat"}, b"body")
    head = client.read_head()
    assert (head.status, head.headers.get("x-body")) == (101, "<nil the body has been sent>")


@pytest.mark.parametrize("script", ["function on_log() end", "function on_response() proxy.sleep(0.2) end"],
                         ids=["at once", "after a wait"])
def test_an_origin_that_ends_its_side_first_gets_all_the_client_says(origin, scripted, connect, script):
    got = []

    def ends_first(exchange):
        wire = exchange.take_over()
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nbye")
        wire.half_close()
        got.append(wire.read_to_end())
    origin.on("/ws", ends_first)
    client = connect(scripted(script, origin))
    client.send_head("GET", "/ws", {"Connection": "upgrade", "Upgrade": "chat"}).send("early ")
    assert client.read_head().status == 101
    assert client.read_to_end() == b"bye"
    client.send("late")
    client.half_close()
    eventually(lambda: got == [b"early late"])


@pytest.mark.parametrize("early", ["", "early"])
@pytest.mark.parametrize("what", ["upgrade", "CONNECT"])
def test_both_sides_of_a_tunnel_may_end_while_a_hook_waits(origin, scripted, connect, what, early):
    """The client, which has half-closed, gets what the origin said before it closed."""
    over = []

    def says_bye(exchange):
        wire = exchange.take_over()
        if what == "upgrade":
            exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        wire.send(b"bye")
        wire.half_close()
        over.append(wire.read_to_close())
    route = {"allow_connect": True} if what == "CONNECT" else {}
    if what == "CONNECT":
        origin.raw(lambda wire, number: (wire.send(b"bye"), wire.half_close(), over.append(wire.read_to_close())))
    else:
        origin.on("/ws", says_bye)
    proxy = scripted("function on_response() proxy.sleep(0.2) end", origin, config={"route": route})
    client = connect(proxy)
    if what == "CONNECT":
        client.send_head("CONNECT", "a.example:1", {"Host": "a.example:1"})
    else:
        client.send_head("GET", "/ws", {"Connection": "upgrade", "Upgrade": "chat"})
    client.send(early).half_close()
    assert client.read_head().status == (200 if what == "CONNECT" else 101)
    assert client.read_to_end() == b"bye"
    eventually(lambda: over == [early.encode()])
    assert proxy.get("/").status in (200, 502)
