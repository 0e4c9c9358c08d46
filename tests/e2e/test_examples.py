# SPDX-License-Identifier: Apache-2.0
"""Every folder in examples/ runs: `tidegate check` likes it, it starts, and its own check.sh passes.

An example's addresses are fixed, so that its README can name them; here each `HOST:PORT` of its
config is given a free port. check.sh finds the address of listener `public` in $PUBLIC, of `admin` in
$ADMIN, and so on, and falls back to the example's own when run by hand."""
import contextlib
import os
import re
import shutil
import socket
import subprocess

import pytest

from support import Proxy, eventually, run_tidegate, scaled
from support.clock import ROOT

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/tidegate.yaml"))
LOOPBACK = re.compile(r"\b(127\.0\.0\.1|0\.0\.0\.0|localhost):(\d{2,5})\b")


def copy_with_free_ports(example, to):
    """Copies examples/ and scripts/ side by side, as in the source tree; gives the config's path."""
    shutil.copytree(ROOT / "examples", to / "examples")
    shutil.copytree(ROOT / "scripts", to / "scripts")
    config = to / "examples" / example.name / "tidegate.yaml"
    with contextlib.ExitStack() as held:  # all at once, so that no port is given out twice
        ports = {}

        def replace(match):
            if match[2] not in ports:
                holder = held.enter_context(socket.socket())
                holder.bind(("127.0.0.1", 0))
                ports[match[2]] = holder.getsockname()[1]
            return f"127.0.0.1:{ports[match[2]]}"
        text = LOOPBACK.sub(replace, config.read_text(encoding="utf-8"))
    config.write_text(text, encoding="utf-8")
    return config


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_validates(example):
    done = run_tidegate("check", "--config", example / "tidegate.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_and_passes_its_checks(example, tmp_path):
    config = copy_with_free_ports(example, tmp_path)
    with Proxy(args=["run", "--config", str(config)]) as proxy:
        proxy.wait_for_log(message="listening", listener="admin")
        eventually(lambda: proxy.admin("/ready").status == 200)
        script = config.parent / "check.sh"
        assert script.exists(), f"examples/{example.name} has no check.sh"
        env = {**os.environ, "no_proxy": "*", **{name.upper().replace("-", "_"): address
                                                 for name, address in proxy.addresses().items()}}
        done = subprocess.run(["bash", str(script)], cwd=config.parent, env=env, text=True,
                              capture_output=True, timeout=scaled(60), check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{proxy.account()}"


def test_there_are_examples():
    assert EXAMPLES, "examples/*/tidegate.yaml"


def test_every_example_has_a_readme():
    missing = [path.name for path in EXAMPLES if not (path / "README.md").exists()]
    assert not missing
