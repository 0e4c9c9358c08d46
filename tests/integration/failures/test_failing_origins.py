# SPDX-License-Identifier: Apache-2.0
"""The runs of `./dev failures`, short: what clients notice when origins die, slow down or fail."""
import concurrent.futures
import statistics

import pytest

from bench.failures import runs
from bench.failures.fleet import Fleet
from support.clock import BINARY, SCALE, SANITIZER

PROGRAMS = BINARY.parent / "bench"


def short(rate=900, seconds=2, workers=2):
    return runs.Scale(PROGRAMS, rate // SCALE, seconds * min(SCALE, 2), workers)


def kept(rows):
    seen = list(rows)
    assert seen and all(row.held for row in seen), "\n".join(f"{row.held}: {row.what}: {row.saw}" for row in seen)


def test_no_get_fails_while_endpoints_are_killed(tidegate):
    kept(runs.kill_under_gets(short(), breakers=[None]))


def test_no_post_is_executed_twice_while_endpoints_are_killed(tidegate):
    kept(runs.kill_under_posts(short()))


def test_a_post_that_may_be_repeated_is_executed_twice_now_and_then(tidegate):
    """So the test above would see it."""
    rows = list(runs.kill_under_posts(short(seconds=1), retry={**runs.RETRY, "non_idempotent": True}, answer_us=200_000))
    assert not rows[0].held and not rows[0].saw.startswith("0 executed twice"), rows[0].saw


def test_no_get_fails_while_all_endpoints_are_restarted(tidegate):
    kept(runs.rolling_restart(short(seconds=1)))


def test_a_slow_endpoint_is_left_alone_by_those_that_look_at_the_load(tidegate):
    """Side by side, since each takes long and needs little, and by shares of a thirtieth, as a p99 wants a
    longer run. Long enough that chance does not decide: at 200 requests per second, the sanitizers' rate, an idle slow
    endpoint is one of some 26 and is found after 0.13 s, so it gets 1.5 % of the requests, where 2 % are too many."""
    delays = [runs.SLOW_US] + [runs.USUAL_US] * (runs.ENDPOINTS - 1)
    scale = short(rate=600, seconds=4)
    with Fleet(PROGRAMS, runs.ENDPOINTS, delays=delays) as fleet, concurrent.futures.ThreadPoolExecutor() as team:
        by = {name: team.submit(runs.slow_under, name, fleet, scale) for name in ("p2c", "least_connections", "ewma")}
        by = {name: future.result() for name, future in by.items()}
    for name, most in (("p2c", 0.7), ("least_connections", 0.6), ("ewma", 0.2)):
        assert by[name].share < most / runs.ENDPOINTS, f"{name}: {by[name].saw}"


@pytest.mark.parametrize("how,wait", [("refuse connections", "usual back-off"), ("answer 503", "no back-off")])
def test_retries_stay_within_the_budget_when_all_endpoints_fail(tidegate, how, wait):
    kept(runs.retry_storm(short(seconds=1), hows=[how], waits=[wait]))


def test_a_limit_over_four_workers_is_kept_in_every_second(tidegate):
    """Too many in none; too few come of a machine that holds requests up, so not in half of them."""
    names = ("sliding_window", "token_bucket")
    with concurrent.futures.ThreadPoolExecutor() as team:
        found = [team.submit(list, runs.shared_limit(short(seconds=4), [name], statistics.median)) for name in names]
        for rows in found:
            kept(rows.result())


@pytest.mark.skipif(SANITIZER is not None, reason="a sanitizer's time says nothing about ours")
def test_a_large_reload_goes_unnoticed_and_takes_time_by_its_size(tidegate):
    """Debug builds take their time, so it is the growth that counts: six times as many routes take
    about six times as long."""
    small = runs.reload_seconds(PROGRAMS, routes=500, endpoints=50)
    scale = short(rate=300, seconds=3)
    row, = runs.reload_large(scale, reloads=2, bound_s=15 * small, bound_ms=250, routes=3000, endpoints=300)
    assert row.held, row.saw
