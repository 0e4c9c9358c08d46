# SPDX-License-Identifier: Apache-2.0
"""What `./dev bench` starts: the programs that its variables name, with configs that hold together."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

LOAD = pathlib.Path(__file__).resolve().parents[2] / "bench" / "load"
COMMANDS = """
import json, pathlib, peers, protocols
class Origin: ports = (1, 2)
print(json.dumps({name: peers.command_of(name, pathlib.Path("/x/y.conf"), 3, Origin)[0]
                  for name in protocols.NAMES}))
"""


def programs(**variables):
    """What would be run for each peer of the protocol workloads, with these variables set."""
    env = {name: value for name, value in os.environ.items() if not name.endswith("_BINARY")}
    done = subprocess.run([sys.executable, "-B", "-c", COMMANDS], cwd=LOAD, env=env | variables, check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["tidegate", "nginx", "haproxy", "nghttpx", "h2o"])
def test_a_variable_names_another_build(name):
    usual = programs()
    chosen = programs(**{f"{name.upper()}_BINARY": "/opt/newer"})
    assert chosen == {**usual, name: "/opt/newer"}


def test_h2o_takes_part_only_where_it_is_given():
    assert set(programs()) == {"tidegate", "nginx", "haproxy", "nghttpx"}


@pytest.mark.parametrize("config", sorted(LOAD.glob("configs/haproxy*.cfg")), ids=lambda path: path.stem)
def test_haproxy_frontends_and_backends_have_names_of_their_own(config):
    """HAProxy 3.3 refuses a name that is both."""
    names = re.findall(r"^(?:frontend|backend) (\S+)", config.read_text(encoding="utf-8"), re.M)
    assert names and len(names) == len(set(names))


def test_haproxy_chooses_ciphers_as_the_others_do():
    text = (LOAD / "configs" / "haproxy-protocols.cfg").read_text(encoding="utf-8")
    assert "prefer-client-ciphers" in text
