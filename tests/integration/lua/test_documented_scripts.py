# SPDX-License-Identifier: Apache-2.0
"""The Lua and YAML blocks of the documents load, as they stand there."""
import json
import re

import pytest

from support import config_for, run_tidegate
from support.clock import ROOT

DOCUMENTS = ["README.md", "scripts/README.md", *(
    path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "examples").glob("*/README.md")))]
BLOCK = re.compile(r"^```(lua|yaml)\n(.*?)^```", re.M | re.S)


def blocks(language):
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                yield pytest.param(match[2], id=f"{document}:{line}")


@pytest.fixture
def folder(tmp_path, authority):
    """Where a reader would try it: with the policy library and certificates beside it."""
    for name, source in (("cert.pem", authority.local.cert), ("key.pem", authority.local.key),
                         ("ca.pem", authority.cert)):
        (tmp_path / name).symlink_to(source)
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    (tmp_path / "policy.lua").write_text("function on_request() end\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("code", blocks("lua"))
def test_a_documented_script_loads(code, folder):
    if "function on_" not in code and "function select_" not in code:
        code = f"function on_log() end do {code} end" if not code.lstrip().startswith("return") else \
            f"local block = function() {code} end block() function on_log() end"
    (folder / "documented.lua").write_text(code, encoding="utf-8")
    config = folder / "tidegate.yaml"
    config.write_text(json.dumps(config_for(route={"echo": True},
                                            policies={"documented": "documented.lua"})), encoding="utf-8")
    done = run_tidegate("check", "--config", config)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_documented_config_is_valid(text, folder):
    config = folder / "tidegate.yaml"
    config.write_text(text, encoding="utf-8")
    done = run_tidegate("check", "--config", config)
    assert done.returncode == 0, done.stderr


def test_there_are_documented_scripts():
    assert len(list(blocks("lua"))) > 4 and list(blocks("yaml"))


def test_the_editor_types_name_what_the_reference_names():
    """scripts/types/ and scripts/README.md speak of the same functions of `proxy`."""
    reference = (ROOT / "scripts/README.md").read_text(encoding="utf-8").split("## Not in this version")[0]
    types = (ROOT / "scripts/types/tidegate.lua").read_text(encoding="utf-8")
    named = set(re.findall(r"`proxy\.(\w+)", reference))
    typed = set(re.findall(r"^function proxy\.(\w+)", types, re.M))
    typed |= set(re.findall(r"^---@field (\w+)", types.split("---@class tidegate.Proxy\n")[1].split("proxy = {}")[0], re.M))
    assert named == typed


def test_the_reference_names_the_whole_of_proxy(scripted, connect):
    """Every function that a policy finds in `proxy` stands in the reference."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/script").glob("api_*.cc"))
    sources += (ROOT / "src/script/json.cc").read_text(encoding="utf-8")
    reference = (ROOT / "scripts/README.md").read_text(encoding="utf-8")
    registered = set(re.findall(r'\{"(\w+)", \w+\}', sources)) | set(re.findall(r'add_pair\(L, "(\w+)"', sources))
    missing = [name for name in registered if not re.search(rf"\b{name}\b", reference)]
    assert registered >= {"now", "sleep", "uuid", "cluster", "env", "base64", "decode"} and not missing
    # and each of them is really there
    names = sorted(set(re.findall(r"`proxy\.(\w+)", reference.split("## Not in this version")[0])))
    proxy = scripted("function on_request(r) r:reply(200, type(proxy[r.args.name])) end",
                     config={"route": {"echo": True}})
    client = connect(proxy)
    assert not [name for name in names if client.get(f"/?name={name}").text == "nil"]


def test_the_reference_names_every_field_of_the_handles():
    names = (ROOT / "src/script/names.cc").read_text(encoding="utf-8")
    table = re.search(r"kFieldNames\{(.*?)\};", names, re.S)[1]
    fields = re.findall(r'"(\w+)"', table)
    reference = (ROOT / "scripts/README.md").read_text(encoding="utf-8")
    assert len(fields) > 40
    assert not [name for name in fields if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", reference)]
