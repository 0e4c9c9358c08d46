# SPDX-License-Identifier: Apache-2.0
"""The programs that are measured, how each is started, and a check that all do the same work."""
import dataclasses
import os
import pathlib
import time

import client
import process

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RELEASE = ROOT / "build" / "release"
WORK = ROOT / "build" / "bench"
# The variable that names another build of each, and where it is without.
BINARIES = {"tidegate": ("TIDEGATE_BINARY", str(RELEASE / "tidegate")),
            "nginx": ("NGINX_BINARY", "/usr/sbin/nginx"),
            "haproxy": ("HAPROXY_BINARY", "/usr/sbin/haproxy"),
            "nghttpx": ("NGHTTPX_BINARY", "/usr/sbin/nghttpx"),
            "h2o": ("H2O_BINARY", "")}


def binary_of(name):
    variable, usual = BINARIES[name]
    return os.environ.get(variable, "") or usual


# h2o takes part where its binary is given: no package is needed for the rest.
PROXIES = ("tidegate", "nginx", "haproxy") + (("h2o",) if binary_of("h2o") else ())
CONFIGS = {"plain": {"tidegate": "tidegate.yaml", "nginx": "nginx.conf", "haproxy": "haproxy.cfg",
                     "h2o": "h2o.conf"},
           "lua": {"tidegate": "tidegate-lua.yaml", "nginx": "nginx-lua.conf", "haproxy": "haproxy-lua.cfg"},
           "protocols": {"tidegate": "tidegate-protocols.yaml", "nginx": "nginx-protocols.conf",
                         "haproxy": "haproxy-protocols.cfg", "nghttpx": "nghttpx-protocols.conf",
                         "h2o": "h2o-protocols.conf"}}


def command_of(name, config, port, origin):
    if name == "tidegate":
        return [binary_of(name), "run", "--config", str(config)]
    if name == "nginx":
        return [binary_of(name), "-p", str(config.parent), "-c", str(config),
                "-e", str(config.parent / "nginx.log")]
    if name == "haproxy":
        return [binary_of(name), "-db", "-q", "-f", str(config)]
    if name == "nghttpx":
        return [binary_of(name), f"--conf={config}"]
    if name == "h2o":
        return [binary_of(name), "-m", "worker", "-c", str(config)]
    return [str(RELEASE / "bench" / "bench_relay"), str(port), str(origin.ports[0])]


class Origin:
    """bench_origin on two ports, one per upstream group."""

    def __init__(self):
        WORK.mkdir(parents=True, exist_ok=True)
        self.ports = (process.free_port(), process.free_port())
        command = [str(RELEASE / "bench" / "bench_origin"), *map(str, self.ports)]
        self.process = process.start(command, process.LOAD_CORE, WORK / "origin.log")
        wait_until_answers(self.ports[1], self.process)

    def stop(self):
        process.stop(self.process)


@dataclasses.dataclass
class Peer:
    """One program in one mode (a key of CONFIGS), started by start(). What only some modes' configs
    name stands in `more`."""
    name: str
    mode: str
    origin: Origin
    port: int = 0
    process: object = None
    more: dict = dataclasses.field(default_factory=dict)

    @property
    def label(self):
        return self.name + ("+lua" if self.mode == "lua" else "")

    def prepare(self):
        """Writes the config; the command to run."""
        run = WORK / self.label
        run.mkdir(parents=True, exist_ok=True)
        self.port = process.free_port()
        if self.name not in CONFIGS[self.mode]:
            return command_of(self.name, None, self.port, self.origin)
        template = HERE / "configs" / CONFIGS[self.mode][self.name]
        values = {"PORT": self.port, "ADMIN": process.free_port(), "RUN": run,
                  "ORIGIN_A": self.origin.ports[0], "ORIGIN_B": self.origin.ports[1],
                  "POLICIES": HERE / "policies", "NOFILE": process.descriptor_limit(),
                  "CONNECTIONS": min(12000, process.descriptor_limit() - 200), **self.more}
        text = template.read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        config = run / template.name
        config.write_text(text, encoding="utf-8")
        return command_of(self.name, config, self.port, self.origin)

    @property
    def log(self):
        return WORK / f"{self.label}.log"

    def start(self, wrapper=(), options=()):
        """Starts it, under `wrapper` (valgrind …) if given, and waits for a first reply."""
        command = [*wrapper, *self.prepare(), *options]
        self.process = process.start(command, process.PROXY_CORE, self.log)
        wait_until_answers(self.port, self.process, self.log)
        return self

    def stop(self):
        process.stop(self.process)

    def check(self):
        """Fails unless the answers show the policy's every edit, or none of them when plain."""
        head, _, body = client.fetch(self.port, "/head").decode().lower().partition("\r\n\r\n")
        edited = self.mode == "lua"
        seen = {"group": "group=b" in body, "x-gateway": "x-gateway: bench" in body,
                "x-plan": "x-plan: blue" in body, "x-debug gone": "x-debug" not in body,
                "x-served-by": "x-served-by: bench" in head,
                "x-frame-options": "x-frame-options: deny" in head,
                "x-origin-node gone": "x-origin-node" not in head}
        wrong = [edit for edit, there in seen.items() if there != edited]
        if wrong:
            raise RuntimeError(f"{self.label}: wrong in its answer: {', '.join(wrong)}\n{head}\n{body}")
        bare = client.fetch(self.port, headers={})
        if not bare.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{self.label}: a request without X-Tenant gets {bare[:80]!r}")


def wait_until_answers(port, started, log=None):
    deadline = time.monotonic() + 60
    while True:
        try:
            if client.fetch(port).startswith(b"HTTP/1.1 200"):
                return
        except OSError:
            pass
        if started.poll() is not None or time.monotonic() > deadline:
            output = log.read_text(errors="replace")[-2000:] if log else ""
            raise RuntimeError(f"no answer from {started.args}\n{output}")
        time.sleep(0.002)


def all_peers(origin, modes, only=()):
    """Every peer in every mode, in the order of a round: each one's modes side by side."""
    peers = [Peer(name, mode, origin) for name in PROXIES for mode in modes if name in CONFIGS[mode]]
    if "plain" in modes:
        peers.append(Peer("relay", "plain", origin))
    return [peer for peer in peers if not only or peer.name in only]
