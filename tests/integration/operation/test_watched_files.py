# SPDX-License-Identifier: Apache-2.0
"""Files that the proxy reads while it serves are something else, or gone: nothing waits for them."""
import os
import shutil
import signal
import socket

import pytest

from support import config_for, run_tidegate


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.close()


def make_endless(path):
    path.symlink_to("/dev/zero")


def make_folder(path):
    path.mkdir()


NO_FILES = {"fifo": make_fifo, "socket": make_socket, "device": make_endless, "folder": make_folder}
REFUSED = {
    "policy.lua": "policy refused",
    "endpoints.yaml": "endpoint file refused: the former endpoints stay",
    "cert.pem": "certificates refused: the old ones stay in use",
    "key.pem": "certificates refused: the old ones stay in use",
}


def replace(path, make):
    fresh = path.with_name(path.name + ".fresh")
    make(fresh)
    path.unlink()
    fresh.rename(path)


@pytest.fixture
def proxy(tidegate, origin, authority):
    config = config_for(
        listener={"tls": {"certificates": [{"cert": "cert.pem", "key": "key.pem"}]}},
        route={"cluster": "origin"}, policies={"policy": "policy.lua"},
        clusters={"origin": {"file": "endpoints.yaml"}})
    return tidegate(config, {
        "policy.lua": "function on_request() end", "endpoints.yaml": f"- {origin.url}\n",
        "cert.pem": authority.local.cert.read_text(), "key.pem": authority.local.key.read_text()})


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("name", REFUSED)
def test_o18_what_is_no_regular_file_is_refused_at_once(proxy, connect, authority, name, kind):
    client = connect(proxy, tls=authority.trust())
    replace(proxy.folder / name, NO_FILES[kind])
    line = proxy.wait_for_log(message=REFUSED[name])
    # A socket cannot be opened at all.
    assert any(why in line["error"] for why in ("is no regular file", "is a folder", "No such device or address"))
    assert client.get("/").status == 200
    assert proxy.admin("/health").status == 200


@pytest.mark.parametrize("kind", NO_FILES)
def test_o18_a_config_that_is_no_regular_file_refuses_the_reload(proxy, connect, authority, kind):
    replace(proxy.config_file, NO_FILES[kind])
    reply = proxy.admin("/reload", "POST")
    assert reply.status == 422, reply
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="reload refused", since=len(proxy.log_lines) - 1)
    assert connect(proxy, tls=authority.trust()).get("/").status == 200


@pytest.mark.parametrize("name", ["tidegate.yaml", *REFUSED])
def test_o18_check_does_not_wait_for_a_pipe(proxy, name):
    replace(proxy.folder / name, make_fifo)
    done = run_tidegate("check", "--config", proxy.config_file)
    assert done.returncode == 2
    assert any(why in done.stderr for why in ("is no regular file", "is not a file", "there is no file"))


@pytest.mark.parametrize("name", ["tidegate.yaml", "policy.lua", "endpoints.yaml", "cert.pem"])
def test_o18_a_file_that_is_removed_leaves_what_is_in_use(proxy, connect, authority, name):
    (proxy.folder / name).unlink()
    assert proxy.admin("/reload", "POST").status == 422
    assert connect(proxy, tls=authority.trust()).get("/").status == 200


def test_o18_the_folder_of_everything_is_removed(proxy, connect, authority):
    shutil.rmtree(proxy.folder)
    assert proxy.admin("/reload", "POST").status == 422
    assert connect(proxy, tls=authority.trust()).get("/").status == 200
    assert proxy.admin("/health").status == 200


BACK = {
    "policy.lua": "policy on disk is the one in use again",
    "endpoints.yaml": "endpoint file is good again",
    "cert.pem": "certificates on disk are those in use again",
    "key.pem": "certificates on disk are those in use again",
}


@pytest.mark.parametrize("how", ["broken", "away"])
@pytest.mark.parametrize("name", BACK)
def test_a_file_that_is_as_it_was_is_no_longer_refused(proxy, connect, authority, name, how):
    """The last word of the log, and of /policies, is that all is well."""
    path = proxy.folder / name
    good = path.read_bytes()
    aside = path.with_name("aside")
    for _ in range(2):
        since = len(proxy.log_lines)
        if how == "away":
            path.rename(aside)
        else:
            path.write_bytes(b"}{ no such thing")
        proxy.wait_for_log(message=REFUSED[name], since=since)
        if name == "policy.lua":
            assert proxy.admin("/policies").json()["policies"][0]["error"]
        if how == "away":
            aside.rename(path)
        else:
            path.write_bytes(good)
        proxy.wait_for_log(message=BACK[name], since=since)
        if name == "policy.lua":
            policy = proxy.admin("/policies").json()["policies"][0]
            assert (policy.get("error"), policy["generation"]) == (None, 1)
    assert connect(proxy, tls=authority.trust()).get("/").status == 200


def test_a_reload_that_finds_the_policy_in_use_takes_its_error_back(proxy):
    path = proxy.folder / "policy.lua"
    good = path.read_text()
    path.write_text("function on_requst() end")
    assert proxy.admin("/reload", "POST").status == 422
    path.write_text(good)
    assert proxy.admin("/reload", "POST").status == 200
    assert proxy.admin("/policies").json()["policies"][0].get("error") is None
