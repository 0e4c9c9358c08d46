# SPDX-License-Identifier: Apache-2.0
"""Real clients and servers, and what they need."""
import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import threading

import pytest

from support import eventually, scaled
from support.clock import ROOT
from support.programs import go_without, program

HERE = pathlib.Path(__file__).parent


class Tool:
    """A program of the system: `curl("-s", url)` gives its finished process; `check=False` lets it
    fail."""

    def __init__(self, name, env=None):
        self.path = program(name)
        self.env = env

    def __call__(self, *args, timeout=30, check=True, **kwargs):
        kwargs.setdefault("text", True)
        env = {**os.environ, **(self.env or {}), **kwargs.pop("env", {})}
        done = subprocess.run([self.path, *map(str, args)], capture_output=True, env=env, check=False,
                              timeout=scaled(timeout), **kwargs)
        assert not check or done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *args, **kwargs):
        """Starts it; the caller reads its output and ends it."""
        return subprocess.Popen([self.path, *map(str, args)], stdout=subprocess.PIPE, text=True,
                                env={**os.environ, **(self.env or {})}, **kwargs)


@pytest.fixture
def curl():
    """curl without configuration of the user's own, and without a proxy of the environment's."""
    return Tool("curl", {"CURL_HOME": "/nonexistent", "no_proxy": "*", "NO_PROXY": "*"})


@pytest.fixture
def wrk():
    return Tool("wrk")


@pytest.fixture
def nghttp():
    return Tool("nghttp")


@pytest.fixture
def h2load():
    return Tool("h2load")


@pytest.fixture
def chromium():
    return Tool("chromium-headless-shell")


@pytest.fixture
def nghttpd(tmp_path):
    """The URL of an HTTP/2 server of files: small and big."""
    tool = Tool("nghttpd")
    (tmp_path / "small").write_bytes(b"small file\n")
    (tmp_path / "big").write_bytes(bytes(range(256)) * 40_000)
    with socket.socket() as probe:  # nghttpd can not say which port it got
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([tool.path, "--no-tls", "-d", tmp_path, "-a", "127.0.0.1", str(port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listening():
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0
    eventually(listening, what="nghttpd listens")
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def packages_with(name):
    """The folder that has this package of package.json: Debian's, or else all of them installed once
    into the build folder."""
    debian = pathlib.Path("/usr/share/nodejs")
    if (debian / name).is_dir():
        return debian
    npm = program("npm")
    folder = ROOT / "build" / "e2e-node"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "package.json", folder)
    if not (folder / "node_modules" / name).is_dir():
        done = subprocess.run([npm, "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder,
                              capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            go_without(f"npm could not install the packages: {done.stderr[-300:]}")
    return folder / "node_modules"


@pytest.fixture
def node():
    return Tool("node")


@pytest.fixture
def node_with_packages():
    return Tool("node", {"NODE_PATH": str(packages_with("ws"))})


@pytest.fixture
def node_with_grpc():
    return Tool("node", {"NODE_PATH": str(packages_with("@grpc/grpc-js"))})


class Handler(http.server.BaseHTTPRequestHandler):
    """What Python's own HTTP server makes of the requests."""
    protocol_version = "HTTP/1.1"

    def _body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_GET(self):
        body = self._body()
        if self.path.startswith("/size/"):
            body = b"0123456789abcdef" * (int(self.path[6:]) // 16)
        elif not body:
            body = f"{self.command} {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Seen-Host", self.headers.get("host", ""))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def python_server():
    """The URL of a server of Python's standard library that returns what it is sent."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
