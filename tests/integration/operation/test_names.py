# SPDX-License-Identifier: Apache-2.0
"""Names that are empty or of nothing: a config that holds one is refused, or the proxy runs with it."""
import copy
import pathlib
import signal

import pytest
import yaml

from support import config_for
from support.certificates import Authority

OK = pathlib.Path(__file__).resolve().parents[2] / "config" / "ok"
NOBODY = 1  # a port where nothing listens


@pytest.mark.parametrize("route", [
    {"respond": {"body": "ok"}, "limits": [""]},
    {"cluster": ""},
    {"respond": {"body": "ok"}, "policies": ["${EMPTY}"]},
    {"respond": {"body": "ok"}, "match": {"listener": "${EMPTY}"}},
], ids=["limit", "cluster", "policy", "listener"])
def test_c1_empty_names_are_refused_by_a_reload_too(tidegate, connect, route):
    proxy = tidegate(config_for(route={"respond": {"body": "before"}}), env={"EMPTY": ""})
    since = len(proxy.log_lines)
    proxy.write_config(config_for(routes=[route]))
    proxy.signal(signal.SIGHUP)
    line = proxy.wait_for_log(message="reload refused", since=since)
    assert "got nothing" in line["error"]
    assert connect(proxy).get("/").text == "before"


def full_config(folder):
    """tests/config/ok/everything.yaml, on loopback, with a listener that needs no TLS."""
    config = yaml.safe_load((OK / "everything.yaml").read_text(encoding="utf-8"))
    config["workers"] = 1
    authority = Authority(folder)
    pair = authority.issue("users.example", "DNS:users.example").entry
    config["listeners"][0]["tls"].update(certificates=[pair], client_ca=str(authority.cert))
    config["clusters"]["users"]["tls"].update(**pair, ca=str(authority.cert))
    config["clusters"]["in_a_file"]["file"] = str(OK / "discovery_endpoints.yml")
    for listener in config["listeners"]:
        unix = listener["address"].startswith("unix:")
        listener["address"] = f"unix:{folder}/x.sock" if unix else "127.0.0.1:0"
    config["listeners"].append({"name": "plain", "address": "127.0.0.1:0"})
    users = config["clusters"]["users"]
    users["endpoints"] = [f"http://127.0.0.1:{NOBODY}",
                          {"url": f"http://127.0.0.2:{NOBODY}", "tags": {"zone": "eu"}}]
    users["outbound_proxy"] = f"http://user:password@127.0.0.1:{NOBODY}"
    config["resolver"]["servers"] = [f"127.0.0.1:{NOBODY}"]
    config["routes"][0]["match"]["listener"] = "plain"
    config["limits"]["sign"]["rate"] = "100000/m"
    config["limits"]["fair"]["rate"] = "100000/s"
    config["admin"] = {"address": "127.0.0.1:0", "token": "${ADMIN_TOKEN:-not-a-secret}"}
    config["log"] = {"level": "info", "format": "json", "access": "off"}
    return config


def leaves(node, path=()):
    """The path of every text in the config."""
    if isinstance(node, str):
        yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield from leaves(child, (*path, key))


def with_value(config, path, value):
    changed = copy.deepcopy(config)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def test_c2_any_name_that_is_empty_or_of_nothing_leaves_a_running_proxy(tidegate, tmp_path):
    config = full_config(tmp_path)
    proxy = tidegate(config, {"scripts/policy.lua": "function on_request(request) end"},
                     env={"EMPTY": ""})
    tokens = ["not-a-secret", "no-such-name"]
    accepted = set()
    # The listener that the requests come by keeps its name, and so does what is no text to change.
    kept = {("admin", "address"), ("log", "format"), ("listeners", 2, "name")}
    for path in leaves(config):
        if path in kept:
            continue
        for value in ("${EMPTY}", "no-such-name"):  # "" is as "${EMPTY}", but for match.headers
            proxy.write_config(with_value(config, path, value))
            reply = next(reply for reply in (
                proxy.admin("/reload", "POST", {"Authorization": f"Bearer {token}"}) for token in tokens)
                if reply.status != 401)
            assert reply.status in (200, 422), (path, value, reply)
            if reply.status == 422:
                continue
            accepted.add(path)
            with proxy.client("plain") as client:
                for target in ("/api/users/7", "/healthz", "/old", "/echo"):
                    response = client.get(target, [("Host", "api.example.com"), ("X-Beta", "1")])
                    assert response.status in range(200, 600), (path, value, target)
    assert ("routes", 1, "respond", "body") in accepted
    assert ("routes", 0, "cluster") not in accepted
    assert len(accepted) > 10
