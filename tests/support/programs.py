# SPDX-License-Identifier: Apache-2.0
"""Programs and packages of others that tests talk to. Where one is missing the test is skipped; with
TIDEGATE_REQUIRE_CLIENTS set, as `./dev test` does, it fails."""
import importlib
import os
import shutil

import pytest

PACKAGES = {"h2load": "nghttp2-client", "httpx": "python3-httpx", "nghttp": "nghttp2-client",
            "nghttpd": "nghttp2-server", "node": "nodejs", "tinyproxy": "tinyproxy-bin"}  # else of the same name


def go_without(why):
    if os.environ.get("TIDEGATE_REQUIRE_CLIENTS"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def _missing(name):
    go_without(f"{name} is missing; it is in the Debian package {PACKAGES.get(name, name)}")


def program(name):
    """The path of this program."""
    return shutil.which(name) or _missing(name)


def module(name):
    """The Python module of this name."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return _missing(name)
