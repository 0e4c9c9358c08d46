# SPDX-License-Identifier: Apache-2.0
"""Certificate files are watched; a swap drops no connection, and a failed one keeps the old."""
import calendar
import shutil
import signal
import threading
import time

import pytest

from support import config_for, run_tidegate
from support.certificates import openssl


@pytest.fixture
def files(tmp_path, authority):
    """A certificate in files of its own, and `replace(pair)`."""
    class Files:
        cert, key = tmp_path / "server.pem", tmp_path / "server.key"
        entry = {"cert": str(cert), "key": str(key)}

        def replace(self, pair):
            for source, to in ((pair.cert, self.cert), (pair.key, self.key)):
                fresh = to.with_suffix(".new")
                shutil.copy(source, fresh)
                fresh.rename(to)
    made = Files()
    made.replace(authority.local)
    return made


@pytest.fixture(scope="module")
def renewed(authority):
    return authority.issue("renewed", "DNS:localhost", "IP:127.0.0.1", days=20)


@pytest.fixture
def proxy(proxy_to, files, origin):
    return proxy_to(origin, listener={"tls": {"certificates": [files.entry]}})


def serial(connect, proxy, authority):
    return connect(proxy, tls=authority.trust()).sock.getpeercert()["serialNumber"]


def reloads(proxy, result):
    return proxy.metrics()("proxy_tls_reloads_total", result=result)


def test_a_new_certificate_is_in_use_and_old_connections_go_on(
        proxy, files, authority, renewed, origin, connect):
    release = threading.Event()
    body = bytes(range(256)) * 4096

    def bulk(exchange):
        exchange.start_chunked()
        exchange.chunk(body)
        exchange.wait(release)
        exchange.chunk(body)
        exchange.end_chunks()
    origin.on("/bulk", bulk)
    idle = connect(proxy, tls=authority.trust())
    idle.get("/")
    busy = connect(proxy, tls=authority.trust())
    busy.send_request("GET", "/bulk")
    origin.wait_for_requests(2)
    files.replace(renewed)
    proxy.wait_for_log(message="certificates loaded")
    assert serial(connect, proxy, authority) == renewed.serial
    release.set()
    assert busy.response().body == body * 2
    assert idle.get("/").text == "ok"
    assert reloads(proxy, "loaded") == 1


def test_a_failed_swap_keeps_the_old_one_and_says_so(proxy, files, authority, renewed, connect):
    files.key.write_bytes(renewed.key.read_bytes())
    line = proxy.wait_for_log(message="certificates refused: the old ones stay in use")
    assert "tidegate.yaml:" in line["error"]
    assert "is not the key of the certificate" in line["error"]
    assert serial(connect, proxy, authority) == authority.local.serial
    assert reloads(proxy, "refused") >= 1
    files.replace(renewed)
    proxy.wait_for_log(message="certificates loaded")
    assert serial(connect, proxy, authority) == renewed.serial


def test_sighup_reads_the_files_anew_and_a_broken_one_refuses_the_reload(
        proxy, files, authority, connect):
    files.cert.write_text("no certificate at all")
    proxy.signal(signal.SIGHUP)
    line = proxy.wait_for_log(message="reload refused")
    assert "holds no certificate" in line["error"]
    assert serial(connect, proxy, authority) == authority.local.serial


def test_files_behind_a_link_that_is_swapped_are_noticed(proxy_to, tmp_path, authority, renewed, origin,
                                                        connect):
    folder = tmp_path / "mounted"
    folder.mkdir()
    for version, pair in (("1", authority.local), ("2", renewed)):
        (folder / version).mkdir()
        shutil.copy(pair.cert, folder / version / "tls.crt")
        shutil.copy(pair.key, folder / version / "tls.key")
    (folder / "..data").symlink_to("1")
    for name in ("tls.crt", "tls.key"):
        (folder / name).symlink_to(f"..data/{name}")
    proxy = proxy_to(origin, listener={"tls": {"certificates": [
        {"cert": str(folder / "tls.crt"), "key": str(folder / "tls.key")}]}})
    (folder / "..fresh").symlink_to("2")
    (folder / "..fresh").rename(folder / "..data")
    proxy.wait_for_log(message="certificates loaded")
    assert serial(connect, proxy, authority) == renewed.serial


def test_metrics_and_status_say_when_a_certificate_expires(proxy, files):
    expiry = proxy.metrics()("proxy_tls_certificate_expiry_seconds", listener="public",
                             certificate=str(files.cert))
    text = openssl("x509", "-in", files.cert, "-noout", "-enddate", "-dateopt", "iso_8601")
    status = proxy.admin("/status").json()
    (certificate,) = status["listeners"][0]["certificates"]
    assert text.strip() == "notAfter=" + certificate["expires"].replace("T", " ").replace(".000", "")
    assert expiry == calendar.timegm(time.strptime(certificate["expires"], "%Y-%m-%dT%H:%M:%S.000Z"))


BROKEN = {
    "the key of another": (lambda f, a, o: f.key.write_bytes(o.key.read_bytes()),
                           "is not the key of the certificate in"),
    "an encrypted key": (lambda f, a, o: openssl(
        "pkey", "-in", a.key, "-aes256", "-passout", "pass:secret", "-out", f.key),
        "is encrypted, and there is nobody to ask for its passphrase: decrypt it with"),
    "the files swapped": (lambda f, a, o: (f.cert.write_bytes(a.key.read_bytes()),
                                           f.key.write_bytes(a.cert.read_bytes())),
                          "holds no certificate"),
    "half a certificate": (lambda f, a, o: f.cert.write_text(
        a.cert.read_text()[:200] + "\n-----END CERTIFICATE-----\n"), "holds a broken certificate"),
    "an empty key": (lambda f, a, o: f.key.write_text(""), "holds no private key"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_check_says_what_is_wrong_with_a_file_and_where_it_is_named(tmp_path, files, authority, renewed,
                                                                    fault):
    breaks, expected = BROKEN[fault]
    breaks(files, authority.local, renewed)
    config = tmp_path / "tidegate.yaml"
    config.write_text(f"""listeners:
  - address: 127.0.0.1:0
    tls:
      certificates:
        - {{ cert: {files.cert}, key: {files.key} }}
routes: [{{ echo: true }}]
""")
    for verb in ("check", "run"):
        done = run_tidegate(verb, "--config", config)
        assert done.returncode != 0
        assert f"{config}:5: listener listeners.0: " in done.stderr, done.stderr
        assert expected in done.stderr


def test_check_only_warns_of_a_certificate_that_has_expired(tmp_path, files, authority):
    files.replace(authority.issue("old", "DNS:localhost", expired=True))
    config = tmp_path / "tidegate.yaml"
    config.write_text(f"""listeners:
  - {{ address: 127.0.0.1:0, tls: {{ certificates: [{{ cert: {files.cert}, key: {files.key} }}] }} }}
routes: [{{ echo: true }}]
""")
    done = run_tidegate("check", "--config", config)
    assert done.returncode == 0, done.stderr
    assert f"warning: {config}:2: listener listeners.0: {files.cert} has expired at" in done.stderr


@pytest.mark.parametrize("how", ["link", "folder"])
def test_a_folder_that_is_replaced_as_a_whole_is_noticed(proxy_to, tmp_path, authority, renewed, origin,
                                                         connect, how):
    for version, pair in (("1", authority.local), ("2", renewed)):
        (tmp_path / version / "tls").mkdir(parents=True)
        shutil.copy(pair.cert, tmp_path / version / "tls" / "tls.crt")
        shutil.copy(pair.key, tmp_path / version / "tls" / "tls.key")
    current = tmp_path / "current"
    if how == "link":
        current.symlink_to("1")
    else:
        (tmp_path / "1").rename(current)
    folder = current / "tls"
    proxy = proxy_to(origin, listener={"tls": {"certificates": [
        {"cert": str(folder / "tls.crt"), "key": str(folder / "tls.key")}]}})
    if how == "link":
        (tmp_path / "next").symlink_to("2")
        (tmp_path / "next").rename(current)
    else:
        current.rename(tmp_path / "old")
        (tmp_path / "2").rename(current)
    proxy.wait_for_log(message="certificates loaded")
    assert serial(connect, proxy, authority) == renewed.serial
    # The new place is the one that is watched now.
    since = len(proxy.log_lines)
    for source, name in ((authority.local.cert, "tls.crt"), (authority.local.key, "tls.key")):
        shutil.copy(source, folder / "fresh")
        (folder / "fresh").rename(folder / name)
    proxy.wait_for_log(message="certificates loaded", since=since)
    assert serial(connect, proxy, authority) == authority.local.serial


def test_a_broken_file_does_not_hold_up_another_listeners_certificate(
        tidegate, files, authority, renewed, origin, connect, tmp_path):
    config = config_for(origin, listener={"tls": {"certificates": [files.entry]}})
    other = tmp_path / "other.pem"
    shutil.copy(authority.local.cert, other)
    config["listeners"].append({"name": "other", "address": "127.0.0.1:0", "tls": {"certificates": [
        {"cert": str(other), "key": str(authority.local.key)}]}})
    proxy = tidegate(config)
    other.write_text("no certificate at all")
    proxy.wait_for_log(message="certificates refused: the old ones stay in use")
    files.replace(renewed)
    proxy.wait_for_log(message="certificates loaded")
    assert serial(connect, proxy, authority) == renewed.serial
    client = connect(proxy, listener="other", tls=authority.trust())
    assert client.sock.getpeercert()["serialNumber"] == authority.local.serial


def put(pair, folder):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(pair.cert, folder / "tls.crt")
    shutil.copy(pair.key, folder / "tls.key")


def link(path, to):
    fresh = path.with_name(path.name + ".fresh")
    fresh.symlink_to(to)
    fresh.rename(path)


# How the named files lead to those that are written, and what a renewal does: with the folders as they are
# laid out first, which of them the files are named in, and what changes.
LINKS = {
    "the target is overwritten": lambda t, pair: put(pair, t / "store"),
    "the target is replaced": lambda t, pair: (put(pair, t / "next"), [
        (t / "next" / name).rename(t / "store" / name) for name in ("tls.key", "tls.crt")]),
    "a link within the target is swapped": lambda t, pair: (put(pair, t / "next"), link(t / "current", "next")),
    "the folder's link within a link is swapped": lambda t, pair: (put(pair, t / "next"), link(t / "inner", "next")),
    "..data in the target's folder": lambda t, pair: (put(pair, t / "mounted/2"), link(t / "mounted/..data", "2")),
}


def lay_out(case, folder, pair):
    put(pair, folder / "store")
    (folder / "used").mkdir()
    to = {"a link within the target is swapped": "../current", "the folder's link within a link is swapped": "../outer",
          "..data in the target's folder": "../mounted"}.get(case, "../store")
    if to == "../current":
        link(folder / "current", "store")
    elif to == "../outer":
        link(folder / "inner", "store")
        link(folder / "outer", folder / "inner")
    elif to == "../mounted":
        put(pair, folder / "mounted/1")
        link(folder / "mounted/..data", "1")
        for name in ("tls.crt", "tls.key"):
            link(folder / "mounted" / name, f"..data/{name}")
    for name in ("tls.crt", "tls.key"):
        link(folder / "used" / name, f"{to}/{name}")
    return {"cert": str(folder / "used/tls.crt"), "key": str(folder / "used/tls.key")}


@pytest.mark.parametrize("case", LINKS)
def test_o19_what_a_link_leads_to_is_watched_too(proxy_to, tmp_path, authority, renewed, origin, connect, case):
    entry = lay_out(case, tmp_path, authority.local)
    proxy = proxy_to(origin, listener={"tls": {"certificates": [entry]}})
    for pair in (renewed, authority.local) if "overwritten" in case else (renewed,):
        since = len(proxy.log_lines)
        LINKS[case](tmp_path, pair)
        proxy.wait_for_log(message="certificates loaded", since=since)
        assert serial(connect, proxy, authority) == pair.serial


def test_o19_a_script_that_is_a_link_is_watched_where_it_leads(proxy_to, tmp_path, connect):
    (tmp_path / "real.lua").write_text("function on_request(r) r:reply(200, 'one') end", encoding="utf-8")
    (tmp_path / "policy.lua").symlink_to(tmp_path / "real.lua")
    proxy = proxy_to(route={"echo": True}, policies={"policy": str(tmp_path / "policy.lua")})
    assert connect(proxy).get("/").text == "one"
    (tmp_path / "real.lua").write_text("function on_request(r) r:reply(200, 'two') end", encoding="utf-8")
    proxy.wait_for_log(message="policy loaded", generation=2)
    assert connect(proxy).get("/").text == "two"


def test_o19_a_link_that_leads_to_itself_is_survived(proxy_to, tmp_path, files, authority, renewed, origin, connect):
    proxy = proxy_to(origin, listener={"tls": {"certificates": [files.entry]}})
    link(files.cert, files.cert.name)
    proxy.wait_for_log(message="certificates refused: the old ones stay in use")
    files.replace(renewed)
    proxy.wait_for_log(message="certificates loaded")
    assert serial(connect, proxy, authority) == renewed.serial
