# SPDX-License-Identifier: Apache-2.0
"""HTTP/2, TLS, large replies and gRPC: h2load against each program in turn, round after round."""
import dataclasses
import os
import re
import subprocess

import peers
import process

NAMES = ("tidegate", "nginx", "haproxy", "nghttpx") + (("h2o",) if peers.binary_of("h2o") else ())
MEGABYTE = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Workload:
    """One h2load run. `arguments` and `target` may name {seconds}, {port}, {tls}, {grpc}."""
    name: str
    title: str
    target: str
    arguments: str
    megabytes: int = 0   # of one reply; then figures are per MB


WORKLOADS = (
    Workload("h2_tls", "HTTP/2 over TLS, 16 connections of 16 streams", "https://127.0.0.1:{tls}/",
             "-c 16 -m 16 -D {seconds}"),
    Workload("h1_tls", "HTTP/1.1 over TLS, 32 connections", "https://127.0.0.1:{tls}/",
             "--h1 -c 32 -D {seconds}"),
    Workload("handshakes", "TLS handshakes: one request on each of 600 connections",
             "https://127.0.0.1:{tls}/", "--h1 -c 600 -n 600"),
    Workload("reply_1m", "1 MB replies, cleartext", "http://127.0.0.1:{port}/size/1048576",
             "--h1 -c 8 -D {seconds}", 1),
    Workload("reply_100m", "100 MB replies, cleartext", "http://127.0.0.1:{port}/size/104857600",
             "--h1 -c 2 -n 12", 100),
    Workload("reply_1m_tls", "1 MB replies, TLS", "https://127.0.0.1:{tls}/size/1048576",
             "--h1 -c 8 -D {seconds}", 1),
    Workload("reply_100m_tls", "100 MB replies, TLS", "https://127.0.0.1:{tls}/size/104857600",
             "--h1 -c 2 -n 6", 100),
    Workload("grpc", "gRPC-shaped unary calls, HTTP/2 on both sides, 16 connections of 16 streams",
             "http://127.0.0.1:{grpc}/grpc/unary",
             "-c 16 -m 16 -D {seconds} -d {message} -H content-type:application/grpc -H te:trailers"),
)


@dataclasses.dataclass
class Run:
    """One workload of one peer in one round; per unit: a request, or a megabyte. Microseconds."""
    units_per_second: float
    user: float
    system: float
    failed: int

    @property
    def cpu(self):
        return self.user + self.system


class GrpcOrigin:
    """nghttpd, which answers a call with a message and a grpc-status trailer."""

    def __init__(self):
        folder = peers.WORK / "grpc-origin"
        (folder / "grpc").mkdir(parents=True, exist_ok=True)
        self.message = folder / "grpc" / "unary"
        self.message.write_bytes(b"\0\0\0\0\x40" + b"m" * 64)
        self.port = process.free_port()
        command = ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", str(folder), "-m", "256",
                   "--trailer=grpc-status: 0", str(self.port)]
        self.process = process.start(command, process.LOAD_CORE, peers.WORK / "grpc-origin.log")

    def stop(self):
        process.stop(self.process)


def certificate():
    """Paths of a certificate and its key (ECDSA P-256), made once, and of both in one file."""
    folder = peers.WORK
    folder.mkdir(parents=True, exist_ok=True)
    cert, key, both = folder / "bench.pem", folder / "bench.key", folder / "bench-both.pem"
    if not both.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
                        "/CN=bench.test", "-keyout", str(key), "-out", str(cert)],
                       check=True, capture_output=True)
        both.write_bytes(cert.read_bytes() + key.read_bytes())
    return cert, key, both


def fits(peer, workload):
    """h2o's releases speak HTTP/1 to origins."""
    return not (peer.name == "h2o" and workload.name == "grpc")


def prepared(origin, grpc_origin, only):
    cert, key, both = certificate()
    for name in NAMES:
        if only and name not in only:
            continue
        # Where one port takes HTTP/1 and HTTP/2 with prior knowledge, gRPC comes to that.
        apart = name in ("nginx", "haproxy")
        yield peers.Peer(name, "protocols", origin, more={
            "TLS_PORT": process.free_port(), "CERT": cert, "KEY": key, "CERT_AND_KEY": both,
            "GRPC_PORT": process.free_port() if apart else None, "ORIGIN_GRPC": grpc_origin.port})


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"h2load printed no {pattern!r}:\n{text[-2000:]}")
    return float(found[1])


def h2load(peer, workload, grpc_origin, seconds):
    values = {"seconds": seconds, "port": peer.port, "tls": peer.more["TLS_PORT"],
              "grpc": peer.more["GRPC_PORT"] or peer.port, "message": grpc_origin.message}
    command = ["h2load", *workload.arguments.format(**values).split(), workload.target.format(**values)]
    return subprocess.run(command, check=True, capture_output=True, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, {process.LOAD_CORE})).stdout


def measure(peer, workload, grpc_origin, seconds):
    pid = peer.process.pid
    user_before, system_before = process.cpu_seconds(pid)
    output = h2load(peer, workload, grpc_origin, seconds)
    user_after, system_after = process.cpu_seconds(pid)
    succeeded = number(r"(\d+) succeeded", output)
    failed = int(number(r"(\d+) failed", output))
    if not succeeded:
        raise RuntimeError(f"{workload.name}: nothing succeeded at {peer.name}\n{output[-2000:]}")
    units = succeeded * max(workload.megabytes, 1)
    rate = number(r"([\d.]+) req/s", output) * max(workload.megabytes, 1)
    return Run(rate, (user_after - user_before) * 1e6 / units,
               (system_after - system_before) * 1e6 / units, failed)


def run(origin, options, say):
    """{workload: {peer: [Run per round]}}; all peers stay up, one at a time is loaded."""
    grpc_origin = GrpcOrigin()
    chosen = list(prepared(origin, grpc_origin, options.peers))
    results = {workload: {} for workload in WORKLOADS
               if not options.workloads or workload.name in options.workloads}
    try:
        for peer in chosen:
            peer.start()
        for workload, by_peer in results.items():
            able = [peer for peer in chosen if fits(peer, workload)]
            for peer in able:
                h2load(peer, workload, grpc_origin, 1)
            for round_number in range(options.protocol_rounds):
                for peer in able:
                    result = measure(peer, workload, grpc_origin, options.seconds)
                    by_peer.setdefault(peer.name, []).append(result)
                    say(f"{workload.name:14} {round_number + 1}/{options.protocol_rounds}  {peer.name:9} "
                        f"{result.units_per_second:10,.0f}/s  {result.cpu:9.2f} µs CPU")
        return results
    finally:
        for peer in chosen:
            if peer.process:
                peer.stop()
        grpc_origin.stop()
