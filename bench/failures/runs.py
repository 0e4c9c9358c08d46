# SPDX-License-Identifier: Apache-2.0
"""The runs: each drives a proxy and origins that fail in one way, and says what it saw beside what is
promised. The whole ones write bench/RESULTS-failures.md; tests make the same ones short."""
import contextlib
import dataclasses
import json
import pathlib
import signal
import subprocess
import time

from support import Proxy, config_for

from .fleet import Fleet, refusing
from .load import PacedLoad, paced


@dataclasses.dataclass
class Row:
    """What one run saw. `promise` in words; `held`: it was kept. `share` of requests that were slow."""
    what: str
    saw: str
    promise: str
    held: bool
    share: float = 0


@dataclasses.dataclass
class Scale:
    """How much, and for how long. `programs`: the folder of the bench's own programs."""
    programs: pathlib.Path
    rate: int = 5000
    seconds: int = 60
    workers: int = 2


QUIET = {"log": {"access": "off"}}
RETRY = {"max_retries": 2}
BREAKER = {"recovery_timeout": "1s", "max_recovery_timeout": "1s"}


def proxy_before(urls, scale, cluster=None, **more):
    return Proxy(config_for(*urls, cluster=cluster, workers=scale.workers, **QUIET, **more))


def figures(load):
    return (f"{load.failed} of {len(load.requests):,} failed ({load.failures()}); p50 {load.latency(.5):.2f} ms, "
            f"p99 {load.latency(.99):.1f} ms, longest {load.latency(1):.0f} ms")


# -- endpoints that die -------------------------------------------------------------------------

ANSWER_US = 4_000  # so that an endpoint which dies has requests under way


def killed_in_turn(scale, path="/", breaker=None, retry=RETRY, answer_us=ANSWER_US):
    """The load while each second one of ten endpoints is killed; with the fleet's account."""
    cluster = {"retry": retry, **({"breaker": breaker} if breaker else {})}
    with Fleet(scale.programs, 10, delays=answer_us, ids=scale.rate * scale.seconds) as fleet:
        with proxy_before(fleet.urls, scale, cluster) as proxy:
            load = PacedLoad(scale.programs, proxy.port(), scale.rate, scale.seconds, connections=256, path=path)
            killed = fleet.kill_in_turn(time.monotonic() + scale.seconds)
            return load.finish(), killed, fleet.executed()


def kill_under_gets(scale, breakers=(None, BREAKER)):
    for breaker in breakers:
        load, killed, _ = killed_in_turn(scale, breaker=breaker)
        yield Row(f"GETs, {scale.rate:,}/s for {scale.seconds} s; {killed} times one of 10 endpoints is killed "
                  f"by SIGKILL and back half a second later; {'with' if breaker else 'without'} breakers",
                  figures(load), "no request fails", load.failed == 0)


def kill_under_posts(scale, **settings):
    load, killed, executed = killed_in_turn(scale, path="once:0", breaker=BREAKER, **settings)
    twice = sum(count for times, count in executed.items() if times > 1)
    once = executed.get(1, 0)
    answered = load.statuses[200]
    yield Row(f"POSTs, {scale.rate:,}/s for {scale.seconds} s; {killed} kills as above; breakers",
              f"{twice} executed twice; {once:,} once, {answered:,} of them answered; {figures(load)}",
              "none is executed twice, each that is answered was executed; those that an endpoint "
              "takes with it fail", twice == 0 and once >= answered)


def rolling_restart(scale, signals=(signal.SIGTERM, signal.SIGKILL)):
    for number in signals:
        with Fleet(scale.programs, 10, delays=ANSWER_US) as fleet:
            with proxy_before(fleet.urls, scale, {"retry": RETRY}) as proxy:
                load = PacedLoad(scale.programs, proxy.port(), scale.rate, scale.seconds, connections=256)
                pause = scale.seconds / (2.5 * len(fleet.ports))
                fleet.restart_all(number, pause=pause, dead=pause)
                load = load.finish()
        yield Row(f"all 10 endpoints restarted one by one with {number.name}, {scale.rate:,} GETs/s",
                  figures(load), "no request fails", load.failed == 0)


# -- an endpoint that is slow -------------------------------------------------------------------

# With as many requests under way at each, the slow one's share is 1 / (1 + 10 × 29) = 0.34 %; two random
# choices come to about twice that. In clusters of a dozen it is about 1 %, so the p99 itself.
USUAL_US, SLOW_US, ENDPOINTS = 20_000, 200_000, 30


def one_is_slow(scale, balancers=("p2c", "least_connections", "ewma", "round_robin")):
    """round_robin, which looks at nothing, is there to show what the others are worth."""
    delays = [SLOW_US] + [USUAL_US] * (ENDPOINTS - 1)
    with Fleet(scale.programs, ENDPOINTS, delays=delays) as fleet:
        for balancer in balancers:
            yield slow_under(balancer, fleet, scale)


def slow_under(balancer, fleet, scale):
    """The first of the fleet is the slow one."""
    loads = []
    for urls in (fleet.urls[1:], fleet.urls):
        with proxy_before(urls, scale, {"balancer": balancer}) as proxy:
            paced(scale.programs, proxy.port(), scale.rate, 1, connections=256)  # to get to know them
            loads.append(paced(scale.programs, proxy.port(), scale.rate, scale.seconds, connections=256))
    without, with_it = (load.latency(.99) for load in loads)
    share = sum(latency >= SLOW_US for _, _, latency in loads[1].requests) / len(loads[1].requests)
    promised = balancer != "round_robin"
    return Row(f"{balancer}: one of {ENDPOINTS} endpoints answers after {SLOW_US // 1000} ms, the others after "
               f"{USUAL_US // 1000}; {scale.rate:,}/s for {scale.seconds} s",
               f"p99 {with_it:.1f} ms, {without:.1f} without it ({with_it / without:.2f} times); "
               f"{share:.2%} of requests were slow",
               "p99 below 1.5 times that without it" if promised else "none, for comparison",
               not promised or (with_it < 1.5 * without and loads[1].failed == 0), share)


# -- all fail -----------------------------------------------------------------------------------

BUDGET = 0.2
SLOT_EDGE = 1.002  # the budget looks two seconds back in steps of a tenth of that


@contextlib.contextmanager
def failing(scale, how):
    """(urls, fleet or None) of five endpoints that refuse, or answer 503 after 1 ms."""
    if how == "refuse connections":
        with refusing(5) as urls:
            yield urls, None
    else:
        with Fleet(scale.programs, 5, delays=1000, status=503) as fleet:
            yield fleet.urls, fleet


WAITS = {"usual back-off": {}, "no back-off": {"backoff": {"base": "0s", "max": "0s"}, "budget_min": 0}}


def retry_storm(scale, hows=("refuse connections", "answer 503"), waits=tuple(WAITS)):
    """What `budget_min` allows comes only where the share does not reach as far."""
    for how in hows:
        for wait in waits:
            settings = WAITS[wait]
            with failing(scale, how) as (urls, fleet):
                with proxy_before(urls, scale, {"retry": {**RETRY, **settings}}) as proxy:
                    load = paced(scale.programs, proxy.port(), scale.rate, scale.seconds)
                    retries = proxy.metrics()("proxy_retries_total", default=0)
                    seen = fleet.requests() if fleet else None
            requests = len(load.requests)
            anyway = 0 if "budget_min" in settings else least_retries(scale.seconds)
            attempts = requests + retries
            limit = max((1 + BUDGET) * requests, requests + anyway) * SLOT_EDGE
            yield Row(f"all endpoints {how}, {wait}, up to 2 retries; {scale.rate:,}/s for {scale.seconds} s",
                      f"{attempts:,.0f} attempts for {requests:,} requests ({attempts / requests:.3f})"
                      + (f", of which the origins saw {seen:,}" if fleet else ""),
                      "at most 1.2 times the requests" + (f", or {anyway:,.0f} retries by `budget_min`" if anyway else ""),
                      attempts <= limit and retries > 0 and load.failed == requests
                      and seen in (None, attempts))


def least_retries(seconds):
    """`budget_min` lets three exchanges go on at once: a retry without a wait, another after 25 ms on
    average, and by chance in a tenth less."""
    return 3 * 2 / 0.025 * seconds * 1.1


# -- limits -------------------------------------------------------------------------------------

LIMIT = 1000


def shared_limit(scale, algorithms=("sliding_window", "token_bucket"), lowest=min):
    """A fixed answer behind the limit, so that nothing else holds requests up. `lowest`: which of the
    seconds must not have had too few."""
    for algorithm in algorithms:
        limits = {"thousand": {"rate": f"{LIMIT}/s", "algorithm": algorithm, "key": "global"}}
        if algorithm == "token_bucket":
            limits["thousand"]["burst"] = 20  # the 2 %
        config = config_for(route={"respond": {"status": 200}, "limits": ["thousand"]}, workers=4, limits=limits, **QUIET)
        with Proxy(config) as proxy:
            load = paced(scale.programs, proxy.port(), 2 * LIMIT, scale.seconds)
        windows = load.windows()
        low, high = min(windows), max(windows)
        held_up = load.latest / 1000 + load.latency(1)
        slack = 0.02 * LIMIT + LIMIT * held_up / 1000
        yield Row(f"a limit of {LIMIT:,}/s ({algorithm}) over 4 workers, {2 * LIMIT:,}/s for {scale.seconds} s",
                  f"{low:,} to {high:,} let through in any second of {len(windows)}, one from each 10 ms on; "
                  f"{load.statuses[429]:,} got 429; the machine held requests up for {held_up:.0f} ms at most",
                  "1,000 ± 2 % in each second, give or take those of the time that the machine held them up",
                  LIMIT - slack <= lowest(windows) and high <= LIMIT + slack and load.statuses[429] > 0)


# -- a large configuration ----------------------------------------------------------------------

def large_config(urls, mark, endpoints=1000, routes=10_000):
    """Traffic goes to `urls` by the last route; the others are there to be many."""
    many = [f"http://127.1.{i // 250}.{i % 250 + 1}:9" for i in range(endpoints)]
    more = []
    for i in range(routes - 1):
        match = {"path" if i % 3 == 0 else "path_prefix": f"/service{i // 10}/v{i}"}
        if i % 2 == 0:
            match["hosts"] = [f"host{i % 10}.example.com"]
        more.append({"name": f"route{i}-{mark}", "match": match, "cluster": "many"})
    config = config_for(*urls, routes=more, cluster={"retry": RETRY}, **QUIET)
    config["clusters"]["many"] = {"endpoints": many}
    return config


def reload(proxy, config):
    """Seconds until it is in use."""
    proxy.write_config(config)
    since, start = len(proxy.log_lines), time.monotonic()
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(message="configuration loaded", since=since, timeout=60)
    return time.monotonic() - start


def reload_seconds(programs, **size):
    """Without traffic; the faster of two."""
    with Fleet(programs, 1) as fleet:
        with Proxy(large_config(fleet.urls, "a", **size)) as proxy:
            return min(reload(proxy, large_config(fleet.urls, mark, **size)) for mark in "ab")


def reload_large(scale, reloads=5, bound_ms=50, bound_s=1, **size):
    """Every other reload renames all routes."""
    with Fleet(scale.programs, 4) as fleet:
        configs = [{**large_config(fleet.urls, mark, **size), "workers": scale.workers} for mark in "aabb"]
        with Proxy(configs[0]) as proxy:
            load = PacedLoad(scale.programs, proxy.port(), scale.rate, scale.seconds)
            begun = time.monotonic()
            took, spans = [], []
            for number in range(reloads):
                time.sleep(scale.seconds / (reloads + 2))
                start = time.monotonic() - begun
                took.append(reload(proxy, configs[(number + 1) % 4]))
                spans.append((start * 1e6, (time.monotonic() - begun) * 1e6))
            load = load.finish()
    during = [latency for when, _, latency in load.requests if any(a <= when <= b for a, b in spans)]
    longest = max(during, default=0) / 1000
    size = {"routes": 10_000, "endpoints": 1000, **size}
    yield Row(f"{reloads} reloads of {size['routes']:,} routes and {size['endpoints']:,} endpoints under "
              f"{scale.rate:,} GETs/s",
              f"{max(took):.2f} s the slowest, {min(took):.2f} s the fastest; {figures(load)}; longest while "
              f"reloading {longest:.0f} ms",
              f"under {bound_s} s, no request fails or takes longer than {bound_ms} ms",
              max(took) < bound_s and load.failed == 0 and bool(during) and longest <= bound_ms)


def nanoseconds(scale, program, pattern):
    """{benchmark: {argument: CPU time}} of one of bench/micro."""
    command = [scale.programs / program, f"--benchmark_filter={pattern}", "--benchmark_format=json"]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    found = {}
    for entry in json.loads(done.stdout)["benchmarks"]:
        name, _, argument = entry["name"].rpartition("/")
        found.setdefault(name.rpartition("/")[2], {})[int(argument)] = entry["cpu_time"]
    return found


def many(scale):
    """Without traffic: what choosing costs."""
    picks = nanoseconds(scale, "micro_balancers", "^pick/")
    saw = ", ".join(f"{name} {by[10]:.0f} and {by[1000]:.0f}" for name, by in picks.items())
    yield Row("a pick among 10 endpoints and among 1,000, in ns", saw, "at most 100 ns more",
              all(by[1000] < by[10] + 100 for by in picks.values()))
    by = nanoseconds(scale, "micro_router", "match_route")["match_route"]
    yield Row("a match among 10 routes and among 10,000, in ns", f"{by[10]:.0f} and {by[10_000]:.0f}",
              "at most 100 ns more", by[10_000] < by[10] + 100)


RUNS = {
    "kill": (kill_under_gets, {}),
    "post": (kill_under_posts, {}),
    "rolling": (rolling_restart, {"seconds": 20}),
    "slow": (one_is_slow, {"rate": 3000, "seconds": 20}),
    "storm": (retry_storm, {"rate": 2000, "seconds": 10}),
    "limit": (shared_limit, {"seconds": 20}),
    "many": (many, {}),
    "reload": (reload_large, {"rate": 2000, "seconds": 15}),
}
