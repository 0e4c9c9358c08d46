# SPDX-License-Identifier: Apache-2.0
"""Deadlines: the one place that knows how slow the binary under test is."""
import mmap
import os
import pathlib
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TIDEGATE_BINARY", ROOT / "build/dev/tidegate")).resolve()


def _sanitizer():
    """'address', 'thread' or None, by the run-time library linked into the binary."""
    if not BINARY.exists():
        return None
    with open(BINARY, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if text.find(b"__tsan_init") >= 0:
            return "thread"
        if text.find(b"__asan_init") >= 0:
            return "address"
    return None


SANITIZER = _sanitizer()
SCALE = {None: 1, "address": 3, "thread": 6}[SANITIZER]


def scaled(seconds):
    """A time-out for the build under test: sanitizers make everything slower."""
    return seconds * SCALE


def eventually(condition, timeout=5, what=None):
    """Waits until `condition()` is true and returns its value. A last resort, for state that has no
    event: a counter behind an HTTP call, the size of a process."""
    deadline = time.monotonic() + scaled(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {scaled(timeout)} s: {what or condition}")
        time.sleep(0.005)
