# SPDX-License-Identifier: Apache-2.0
"""Chaos of scripts: support/chaos.lua does everything that a script can do, in every hook, with waits and errors in
between, and keeps handles beyond their time, while clients and origins break off, requests are retried and hedged, and
the script is reloaded. By a seed. It fails if the process ends, an answer is missing, one client sees what is
another's, a handle works where it must not, or something is left at the end. A test before it calls each
function in each hook: plainly, after a wait, and in an exchange whose client leaves.

TIDEGATE_CHAOS_SEEDS=7 or 1-50, TIDEGATE_CHAOS_REQUESTS=4000 (for each seed) and TIDEGATE_CHAOS_SECONDS=600 make it
longer, or repeat what has failed."""
import asyncio
import contextlib
import json
import os
import time

import pytest

from support.api import HOOKS, api_functions, callable_methods, handle_names
from support.chaos import Load, Origin, Sweep, Wrong
from support.clock import ROOT, SANITIZER, eventually

SCRIPT = (ROOT / "tests/support/chaos.lua").read_text(encoding="utf-8")
SECONDS = float(os.environ.get("TIDEGATE_CHAOS_SECONDS", 60 if SANITIZER else 8))
REQUESTS = int(os.environ.get("TIDEGATE_CHAOS_REQUESTS", 1000))
RELOAD_EVERY = 100  # requests


def seeds():
    first, _, last = os.environ.get("TIDEGATE_CHAOS_SEEDS", "1-1000").partition("-")
    return range(int(first), int(last or first) + 1)


def config(urls, seed, functions):
    options = {"names": handle_names(), "functions": functions, "seed": seed}
    budget = {"cpu": "50ms", "memory": "8MiB", "time": "400ms"}
    retry = {"max_retries": 2, "on": ["connect", "reset", "503"], "non_idempotent": True, "budget": "100%",
             "hedge": {"delay": "10ms"}}
    breaker = {"max_failures": 1000000}
    policies = ["one", "two"]

    def route(name, match, **action):
        return {"name": name, "match": match, "policies": policies, "timeout": "1s", "exchange_timeout": "3s",
                "idle_timeout": "1s", **action}
    return {
        "workers": 2 if seed % 3 == 0 else 1,
        "listeners": [{"name": "public", "address": "127.0.0.1:0", "body_timeout": "1s"},
                      {"name": "inner", "address": "unix:inner.sock"}],
        "admin": {"address": "127.0.0.1:0"},
        "log": {"access": "off"},
        "limits": {"few": {"rate": "100/s", "key": "global"}},
        "clusters": {
            "app": {"endpoints": [*urls, "http://127.0.0.1:1"], "retry": retry, "breaker": breaker},
            "h2": {"endpoints": ["http://unix:inner.sock"], "protocol": "h2", "retry": retry, "breaker": breaker},
            "swept": {"endpoints": urls, "breaker": breaker},
            "spare": {"endpoints": urls},
            "dead": {"endpoints": ["http://127.0.0.1:1"], "breaker": breaker},
            "inner": {"endpoints": urls, "breaker": breaker}},
        "policies": {
            "one": {"script": "chaos.lua", "budget": budget, "options": {**options, "salt": 1, "spins": True}},
            "two": {"script": "chaos.lua", "budget": budget, "options": {**options, "salt": 2}, "jit": True,
                    "on_error": "open"}},
        "default_policies": [],
        "routes": [
            route("inner", {"listener": "inner"}, cluster="inner", policies=[]),
            route("app", {"path_prefix": "/app"}, cluster="app", max_body="64KiB"),
            route("h2", {"path_prefix": "/h2"}, cluster="h2"),
            route("swept", {"path": "/swept"}, cluster="swept"),
            route("fails", {"path": "/fails"}, cluster="dead"),
            route("limited", {"path": "/limited"}, cluster="app", limits=["few"]),
            route("local", {"path": "/local"}, respond={"status": 200, "body": "local"}),
            route("echo", {"path": "/echo"}, echo=True),
            route("quiet-one", {"path": "/quiet", "headers": {"x-policy": "one"}}, echo=True, policies=["one"]),
            route("quiet-two", {"path": "/quiet", "headers": {"x-policy": "two"}}, echo=True, policies=["two"])],
    }


async def reload_all_the_time(proxy, load):
    version = 0
    while True:
        await asyncio.sleep(0.05)
        if load.begun // RELOAD_EVERY > version:
            version = load.begun // RELOAD_EVERY
            proxy.write_script("chaos.lua", f"{SCRIPT}\n-- version {version}\n")


def expect_nothing_wrong(proxy, origins):
    seen = proxy.lines_seen = getattr(proxy, "lines_seen", 0)
    for line in proxy.log_lines[seen:]:
        if line["message"].startswith("chaos:"):
            raise Wrong(json.dumps(line))
        proxy.lines_seen += 1
    for origin in origins:
        if origin.wrong:
            raise origin.wrong
    if proxy.process.poll() is not None:
        proxy.wait_for_exit()
        raise AssertionError(f"the proxy ended; {proxy.account()}")


def expect_nothing_left(proxy):
    """Counters return to nothing, and what the scripts kept is collected."""
    # Not the clients' connections: the proxy is a client of its own listener `inner`.
    for family in ("proxy_requests_active", "proxy_client_tunnels_active"):
        eventually(lambda family=family: proxy.metrics()(family) == 0, what=f"{family} is 0")
    for _ in range(20):
        for policy in ("one", "two"):
            assert proxy.get("/quiet", {"x-policy": policy}).status == 200
    for policy in ("one", "two"):
        used = proxy.metrics()("proxy_script_memory_bytes", policy=policy)
        assert used < 4 << 20, f"{policy} keeps {used} bytes"


def take_what_was_called(proxy, sweep):
    for policy in ("one", "two"):
        sweep.missing -= set(proxy.get("/quiet", {"x-policy": policy}).text.split("\n"))


async def call_everything(tidegate, functions):
    """A wait may be long on a busy machine, so that a client leaves too early: what is missing is done again."""
    origins = [Origin(), Origin()]
    proxy = tidegate(config([await origin.start() for origin in origins], 1, functions), {"chaos.lua": SCRIPT})
    sweep = Sweep(proxy.port(), [(hook, function) for function in functions for hook in HOOKS] + callable_methods())
    for patience in (0.05, 0.1, 0.2, 0.2, 0.2):
        await sweep.round(patience)
        await asyncio.get_running_loop().run_in_executor(None, take_what_was_called, proxy, sweep)
        print(f"{sweep.number} exchanges, {len(sweep.missing)} calls are missing", flush=True)
        expect_nothing_wrong(proxy, origins)
        if not sweep.missing:
            break
    assert not sweep.missing, f"{len(sweep.missing)} were not called: {sorted(sweep.missing)[:200]}"
    proxy.stop()
    for origin in origins:
        origin.server.close()


async def one_seed(tidegate, seed, functions):
    origins = [Origin(), Origin()]
    urls = [await origin.start() for origin in origins]
    proxy = tidegate(config(urls, seed, functions), {"chaos.lua": SCRIPT})
    load = Load(proxy.port(), seed, REQUESTS, lambda: expect_nothing_wrong(proxy, origins))
    reloads = asyncio.ensure_future(reload_all_the_time(proxy, load))
    try:
        await load.run()
    finally:
        reloads.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reloads
        expect_nothing_wrong(proxy, origins)
    await asyncio.get_running_loop().run_in_executor(None, expect_nothing_left, proxy)
    expect_nothing_wrong(proxy, origins)
    proxy.stop()
    for origin in origins:
        origin.server.close()
        for task in list(origin.tasks):
            task.cancel()
    return load


@pytest.mark.slow
def test_every_function_is_called_in_every_hook(tidegate, scripted):
    asyncio.run(call_everything(tidegate, api_functions(scripted)))


@pytest.mark.slow
def test_chaos_of_scripts(tidegate, scripted):
    functions = api_functions(scripted)
    begin = time.monotonic()
    answered = sent = 0
    statuses = {}
    for seed in seeds():
        print(f"seed {seed}", flush=True)
        load = asyncio.run(one_seed(tidegate, seed, functions))
        answered, sent = answered + load.answered, sent + REQUESTS
        for status, count in load.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
        if time.monotonic() - begin > SECONDS:
            break
    print(f"{sent} requests, {answered} answered in {time.monotonic() - begin:.0f} s: {dict(sorted(statuses.items()))}")
    assert answered > sent * 0.6, statuses
    assert {200, 403, 404, 500} <= set(statuses), statuses
