# SPDX-License-Identifier: Apache-2.0
"""The config file itself can be reloaded; one that does not validate changes nothing."""
import signal

from support import config_for


def responding(text):
    return config_for(route={"respond": {"status": 200, "body": text}})




def test_a_config_that_does_not_validate_changes_nothing(tidegate, connect):
    proxy = tidegate(responding("one"))
    client = connect(proxy)
    assert client.get("/").text == "one"
    since = len(proxy.log_lines)
    proxy.write_config("workers: many\n")
    proxy.signal(signal.SIGHUP)
    line = proxy.wait_for_log(lambda l: "tidegate.yaml:1" in str(l), since=since)
    assert line["level"] in ("error", "warn")
    assert client.get("/").text == "one"


def test_sighup_takes_new_routes_in(tidegate, connect):
    proxy = tidegate(responding("one"))
    client = connect(proxy)
    assert client.get("/").text == "one"
    since = len(proxy.log_lines)
    proxy.write_config(responding("two"))
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(lambda l: "config" in l["message"] and "load" in l["message"], since=since)
    assert client.get("/").text == "two", "a connection that was open sees it with its next request"
    assert connect(proxy).get("/").text == "two"
