# SPDX-License-Identifier: Apache-2.0
"""Load for the chaos test of scripts: clients and origins that misbehave by a seed, over HTTP/1 and HTTP/2. Each
request has a marker of its own; no answer, and nothing that reaches an origin, may bear another's."""
import asyncio
import contextlib
import random
import re
import socket
import struct
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from .clock import scaled

MARKER = re.compile(rb"mk\d+k")
LIMIT = 10          # seconds until an answer counts as missing
H1_CONNECTIONS, H2_CONNECTIONS, H2_STREAMS = 16, 3, 6
PATHS = ["/app", "/app", "/app/x?y=1", "/h2", "/h2", "/limited", "/local", "/echo", "/nowhere", "/app/%zz"]
ORIGIN_MOODS = ["", "", "", "", "slow", "503", "reset", "half", "close", "chunked", "trailers", "early"]
BROKEN = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError)


class Wrong(AssertionError):
    """What must not happen."""


def expect_own(marker, data, where):
    others = set(MARKER.findall(data)) - {marker}
    if others:
        raise Wrong(f"{where} of {marker} bears {others}")


class Plan:
    """One request, all of it decided beforehand."""

    def __init__(self, rng, number):
        self.marker = b"mk%dk" % number
        self.path = rng.choice(PATHS)
        self.method = rng.choice(["GET", "GET", "POST", "POST", "PUT", "HEAD"])
        self.body = None
        if self.method in ("POST", "PUT"):
            self.body = self.marker * rng.choice([0, 1, 1, 10, 2000, 2000, 12000])
        self.trailers = [(b"x-late", self.marker)] if self.body is not None and rng.random() < 0.2 else []
        self.sized = not self.trailers and rng.random() < 0.6
        self.mood = rng.choice(ORIGIN_MOODS)
        self.pause = rng.random() * 0.006 if rng.random() < 0.3 else 0   # within the request
        self.abort = rng.choice(["head", "body", "after", "after", "reading"]) if rng.random() < 0.15 else None
        self.abort_after = rng.random() * 0.012
        self.hard = rng.random() < 0.5                                   # an abort by RST

    def fields(self):
        return [(b"x-marker", self.marker), (b"x-mood", self.mood.encode())]


# ---- HTTP/1, both ends ----------------------------------------------------------------------------

async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}


async def read_body(reader, fields, until_end=False):
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        parts = []
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                while await reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return b"".join(parts)
            parts.append((await reader.readexactly(size + 2))[:-2])
    if b"content-length" in fields:
        return await reader.readexactly(int(fields[b"content-length"]))
    return await reader.read() if until_end else b""


def reset(transport):
    """Ends the connection with RST."""
    sock = transport.get_extra_info("socket")
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def break_off(writer, hard):
    reset(writer.transport) if hard else writer.close()


class Origin:
    """An HTTP/1 origin that does what the request's x-mood says."""

    def __init__(self):
        self.wrong = None
        self.tasks = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            while True:
                first, fields = await read_head(reader)
                if not await self.answer(first, fields, reader, writer):
                    break
        except BROKEN:
            pass
        except Wrong as wrong:
            self.wrong = self.wrong or wrong
        finally:
            self.tasks.discard(asyncio.current_task())
            writer.close()

    async def answer(self, first, fields, reader, writer):
        mood, marker = fields.get(b"x-mood", b""), fields.get(b"x-marker", b"none")
        if mood in (b"reset", b"close"):
            break_off(writer, mood == b"reset")
            return False
        if mood == b"early":
            writer.write(b"HTTP/1.1 200 OK\r\nx-marker: %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % marker)
            await writer.drain()
            return False
        body = await read_body(reader, fields)
        expect_own(marker, first + b" ".join(fields.values()) + body, "a request at the origin")
        if mood == b"slow":
            await asyncio.sleep(0.02)
        status = b"503 Busy" if mood == b"503" else b"200 OK"
        head = b"HTTP/1.1 %s\r\nx-marker: %s\r\n" % (status, marker)
        answer = b"" if first.startswith(b"HEAD") else marker + body
        if mood in (b"chunked", b"trailers"):
            end = b"0\r\nx-late: %s\r\n\r\n" % marker if mood == b"trailers" else b"0\r\n\r\n"
            chunks = b"%x\r\n%s\r\n" % (len(answer), answer) + end if answer else b""
            writer.write(head + b"transfer-encoding: chunked\r\n\r\n" + chunks)
        else:
            writer.write(head + b"content-length: %d\r\n\r\n" % (len(marker) + len(body)))
            writer.write(answer[:len(answer) // 2] if mood == b"half" else answer)
        await writer.drain()
        if mood == b"half":
            break_off(writer, len(body) % 2)
            return False
        return True


# ---- clients --------------------------------------------------------------------------------------

class Load:
    """Sends `count` requests of one seed to a port and looks at every answer."""

    def __init__(self, port, seed, count, check):
        self.port = port
        self.check = check  # called now and then; raises if something is wrong
        rng = random.Random(seed)
        self.plans = [Plan(rng, seed * 1_000_000 + number) for number in range(1, count + 1)]
        self.plans.reverse()
        self.under_way = {}  # plan -> when it began
        self.begun = self.answered = 0
        self.statuses = {}

    def begin(self):
        plan = self.plans.pop()
        self.begun += 1
        self.under_way[plan] = time.monotonic()
        return plan

    def end(self, plan, status=None):
        if self.under_way.pop(plan, None) is not None and status is not None:
            self.answered += 1
            self.statuses[status] = self.statuses.get(status, 0) + 1

    async def watch(self):
        """Until all is done; an answer that does not come in time is an error."""
        while True:
            await asyncio.sleep(0.2)
            self.check()
            late = [plan for plan, begun in self.under_way.items() if time.monotonic() - begun > scaled(LIMIT)]
            if late:
                raise Wrong(f"no answer to {[(p.marker, p.method, p.path, p.mood) for p in late[:5]]}")

    async def run(self):
        clients = [asyncio.ensure_future(self.h1_client()) for _ in range(H1_CONNECTIONS)]
        clients += [asyncio.ensure_future(self.h2_client()) for _ in range(H2_CONNECTIONS)]
        watch = asyncio.ensure_future(self.watch())
        everything = asyncio.gather(*clients)
        try:
            await asyncio.wait([everything, watch], return_when=asyncio.FIRST_COMPLETED)
            await (everything if everything.done() else watch)
        finally:
            for task in (watch, everything):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Wrong, *BROKEN):
                    await task

    async def h1_client(self):
        writer = None
        while self.plans:
            if writer is None or writer.is_closing():
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                if not self.plans:
                    break
            plan = self.begin()
            try:
                if not await self.h1_exchange(plan, reader, writer):
                    writer.close()
            except BROKEN:
                writer.close()  # broken off, as some answers are
            finally:
                self.end(plan)
        if writer is not None:
            writer.close()

    async def h1_exchange(self, plan, reader, writer):
        """True: the connection can be used again."""
        head = b"%s %s HTTP/1.1\r\nhost: a.example\r\n" % (plan.method.encode(), plan.path.encode())
        head += b"".join(b"%s: %s\r\n" % field for field in plan.fields())
        body = plan.body or b""
        if plan.body is not None and plan.sized:
            head += b"content-length: %d\r\n" % len(body)
        elif plan.body is not None:
            head += b"transfer-encoding: chunked\r\n"
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n"
            body += b"".join(b"%s: %s\r\n" % field for field in plan.trailers) + b"\r\n"
        wire = head + b"\r\n" + body
        cut = {"head": len(head) // 2, "body": len(head) + 2 + len(body) // 2}.get(plan.abort, len(wire))
        half = min(cut, len(head) + 2 + len(body) // 3)
        writer.write(wire[:half])
        if plan.pause:
            await asyncio.sleep(plan.pause)
        writer.write(wire[half:cut])
        if plan.abort and plan.abort != "reading":
            await asyncio.sleep(plan.abort_after)
            break_off(writer, plan.hard)
            return False
        return await self.h1_answer(plan, reader, writer)

    async def h1_answer(self, plan, reader, writer):
        while True:
            first, fields = await read_head(reader)
            status = int(first.split()[1])
            if status >= 200:
                break
        expect_own(plan.marker, first + b" ".join(fields.values()), "an answer's head")
        if plan.abort:
            break_off(writer, plan.hard)
            return False
        body = b""
        if plan.method != "HEAD" and status not in (204, 304):
            body = await read_body(reader, fields, until_end=True)
        expect_own(plan.marker, body, "an answer's body")
        self.end(plan, status)
        return fields.get(b"connection") != b"close"

    async def h2_client(self):
        while self.plans:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: H2Connection(self), "127.0.0.1", self.port)
            await connection.closed


class Sweep:
    """Has each function called once in each hook in each way, as many exchanges at once as there are clients."""

    WAYS = ("plain", "wait", "abort")
    CLIENTS = 16
    PATHS = {"on_error": b"/fails"}

    def __init__(self, port, calls):
        self.port = port
        self.missing = {f"{hook} {way} {function}" for hook, function in calls for way in self.WAYS}
        self.number = 0

    async def round(self, patience):
        """Once for all that is missing; clients that are to leave do so after `patience` seconds."""
        todo = sorted(self.missing)

        async def client():
            while todo:
                await self.exchange(todo.pop(), patience)
        await asyncio.wait_for(asyncio.gather(*(client() for _ in range(self.CLIENTS))), scaled(60))

    async def exchange(self, what, patience):
        hook, way, function = what.split()
        # Where nothing waits for the body, it does not come whole from a client that leaves.
        whole = way != "abort" or hook not in ("on_request", "on_log") or function.startswith("response")
        self.number += 1
        marker = b"mk%dk" % self.number
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"POST %s?a=1&b=2 HTTP/1.1\r\nhost: a.example\r\nx-marker: %s\r\nx-sweep: %s\r\n"
                     b"content-length: %d\r\nconnection: close\r\n\r\nbody"
                     % (self.PATHS.get(hook, b"/swept"), marker, what.encode(), 4 if whole else 400))
        with contextlib.suppress(*BROKEN):
            if way == "abort":
                await asyncio.sleep(patience)
            else:
                expect_own(marker, await asyncio.wait_for(reader.read(), scaled(LIMIT)), "an answer")
        reset(writer.transport)  # the end of what it sends would not say that it has left


class H2Connection(asyncio.Protocol):
    """One HTTP/2 connection with a few streams at once, each for one plan after the other."""

    def __init__(self, load):
        self.load = load
        self.closed = asyncio.get_running_loop().create_future()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self.streams = {}  # stream -> [plan, body to send, what came, status]

    def connection_made(self, transport):
        self.transport = transport
        self.h2.initiate_connection()
        for _ in range(H2_STREAMS):
            self.start()
        self.flush()

    def flush(self):
        if not self.transport.is_closing():
            self.transport.write(self.h2.data_to_send())

    def start(self):
        if not self.load.plans or self.transport.is_closing():
            if not self.streams:
                self.transport.close()
            return
        plan = self.load.begin()
        stream = self.h2.get_next_available_stream_id()
        head = [(b":method", plan.method.encode()), (b":scheme", b"http"), (b":authority", b"a.example"),
                (b":path", plan.path.encode()), *plan.fields()]
        if plan.body is not None and plan.sized:
            head.append((b"content-length", b"%d" % len(plan.body)))
        self.h2.send_headers(stream, head, end_stream=plan.body is None)
        self.streams[stream] = [plan, plan.body, b"", None]
        loop = asyncio.get_running_loop()
        if plan.abort in ("head", "body", "after"):
            loop.call_later(plan.abort_after, self.abort, stream)
        if plan.body is not None:
            if plan.pause:
                loop.call_later(plan.pause, self.send, stream)
            else:
                self.send(stream)

    def send(self, stream):
        """As much of the body as the windows allow."""
        state = self.streams.get(stream)
        if state is None or state[1] is None or self.transport.is_closing():
            return
        with contextlib.suppress(h2.exceptions.StreamClosedError, h2.exceptions.ProtocolError):
            while True:
                size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(state[1]))
                last = size == len(state[1]) and state[0].abort != "body"
                trailers = state[0].trailers if last else []
                if size or last:
                    self.h2.send_data(stream, state[1][:size], end_stream=last and not trailers)
                if trailers:
                    self.h2.send_headers(stream, trailers, end_stream=True)
                state[1] = None if size == len(state[1]) else state[1][size:]
                if state[1] is None or size == 0:
                    break
        self.flush()

    def abort(self, stream):
        if stream not in self.streams:
            return
        plan = self.streams[stream][0]
        if plan.hard and len(plan.marker) % 3 == 0:
            return reset(self.transport)
        with contextlib.suppress(h2.exceptions.StreamClosedError, h2.exceptions.ProtocolError):
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self.over(stream)

    def over(self, stream):
        plan, _, _, status = self.streams.pop(stream)
        self.load.end(plan, status)
        self.start()
        self.flush()

    def data_received(self, data):
        try:
            for event in self.h2.receive_data(data):
                self.take(event)
        except h2.exceptions.ProtocolError as error:
            if not self.closed.done():
                self.closed.set_exception(Wrong(f"the proxy broke the protocol: {error!r}"))
        except Wrong as wrong:
            if not self.closed.done():
                self.closed.set_exception(wrong)
        self.flush()

    def take(self, event):
        if isinstance(event, h2.events.ConnectionTerminated):
            return self.transport.close()
        state = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if isinstance(event, h2.events.WindowUpdated):
            for stream in [event.stream_id] if event.stream_id else list(self.streams):
                self.send(stream)
        if state is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            expect_own(state[0].marker, b" ".join(value for _, value in event.headers), "an answer's head")
            state[3] = int(dict(event.headers)[b":status"])
            if state[0].abort == "reading":
                self.abort(event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            expect_own(state[0].marker, event.data, "an answer's body")
        elif isinstance(event, h2.events.StreamEnded):
            self.over(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            state[3] = None
            self.over(event.stream_id)

    def connection_lost(self, _):
        for plan, *_ in self.streams.values():
            self.load.end(plan)
        self.streams.clear()
        if not self.closed.done():
            self.closed.set_result(None)
