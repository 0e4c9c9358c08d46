# SPDX-License-Identifier: Apache-2.0
"""The Lua and YAML blocks of the documents load, as they stand there."""
import gzip
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
    config.write_text(json.dumps(config_for(route={"echo": True}, limits={"sign": {"rate": "10/m", "key": "script"}},
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


REFERENCE = (ROOT / "scripts/README.md").read_text(encoding="utf-8")


def missing():
    """What the reference says is not there: functions of `proxy`, "handle.field", hooks."""
    spans = re.findall(r"`([^`]+)`", REFERENCE.split("## Not in this version\n")[1].split("\n## ")[0])
    hooks = {span for span in spans if span.startswith("on_")}
    fields = {span for span in spans if re.match(r"(?!proxy)\w+[.:]", span)}
    functions = {span.removeprefix("proxy.") for span in spans} - hooks - fields
    return functions, {field.replace(":", ".") for field in fields}, hooks


def test_the_editor_types_name_what_the_reference_names():
    """scripts/types/ and scripts/README.md speak of the same functions of `proxy`."""
    types = (ROOT / "scripts/types/tidegate.lua").read_text(encoding="utf-8")
    named = set(re.findall(r"`proxy\.(\w+)", REFERENCE)) - missing()[0]
    typed = set(re.findall(r"^function proxy\.(\w+)", types, re.M))
    typed |= set(re.findall(r"^---@field (\w+)", types.split("---@class tidegate.Proxy\n")[1].split("proxy = {}")[0], re.M))
    assert named == typed


def test_the_reference_names_the_whole_of_proxy(scripted, connect):
    """Every function that a policy finds in `proxy` stands in the reference."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/script").glob("api_*.cc"))
    sources += (ROOT / "src/script/json.cc").read_text(encoding="utf-8")
    registered = set(re.findall(r'\{"(\w+)", \w+\}', sources)) | set(re.findall(r'add_pair\(L, "(\w+)"', sources))
    unnamed = [name for name in registered if not re.search(rf"\b{name}\b", REFERENCE)]
    assert registered >= {"now", "sleep", "uuid", "cluster", "env", "base64", "decode"} and not unnamed
    # and each of them is really there
    names = sorted(set(re.findall(r"`proxy\.(\w+)", REFERENCE)))
    proxy = scripted("function on_request(r) r:reply(200, type(proxy[r.args.name])) end",
                     config={"route": {"echo": True}})
    client = connect(proxy)
    assert not [name for name in names if client.get(f"/?name={name}").text == "nil"]


def fields_of_the_handles():
    names = (ROOT / "src/script/fields.cc").read_text(encoding="utf-8")
    return re.findall(r'"(\w+)"', re.search(r"kNames\{(.*?)\};", names, re.S)[1])


def test_the_reference_names_every_field_of_the_handles():
    fields = fields_of_the_handles()
    assert len(fields) > 40
    assert not [name for name in fields if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", REFERENCE)]


# Reads all of `proxy` that the reference names, and every field of every handle:
# what is not there says so, what is there says something else, or nothing.
RAISERS = """
local function says_missing(...)
  local done, wrong = pcall(...)
  return not done and tostring(wrong):find("not available in this version", 1, true)
end
local function read(handle, name) return handle[name] end

local found = {}
function select_backend(request, cluster)
  for name in request.args.proxy:gmatch("[^,]+") do
    if says_missing(read, proxy, name) then found[#found + 1] = name end
  end
  local endpoint = cluster.endpoints[1]
  local handles = { request = request, cluster = cluster, endpoint = endpoint, breaker = endpoint.breaker }
  for kind, handle in pairs(handles) do
    for name in request.args.fields:gmatch("[^,]+") do
      if says_missing(read, handle, name) then found[#found + 1] = kind .. "." .. name end
    end
  end
end
function on_response(response, request)
  for name in request.args.fields:gmatch("[^,]+") do
    if says_missing(read, response, name) then found[#found + 1] = "response." .. name end
  end
  response.headers["x-found"] = table.concat(found, " ")
end"""


def test_what_the_reference_calls_missing_is_what_raises(origin, scripted, connect):
    functions, fields, _ = missing()
    assert {"fetch", "jwt"} <= functions and "cluster.request" in fields, "the section is read"
    named = ",".join(set(re.findall(r"`proxy\.(\w+)", REFERENCE)) | functions)
    proxy = scripted(RAISERS, origin)
    answer = connect(proxy).get(f"/?proxy={named}&fields={','.join(fields_of_the_handles())}")
    assert answer.status == 200
    assert set(answer.headers.get("x-found").split()) == functions | fields


def test_hooks_that_the_reference_calls_missing_are_refused_and_all_others_taken(folder):
    hooks = set(re.findall(r"`((?:on|select)_\w+)[`(]", REFERENCE))
    refused = set()
    for hook in hooks:
        (folder / "hook.lua").write_text(f"function {hook}() end\n", encoding="utf-8")
        config = folder / "tidegate.yaml"
        config.write_text(json.dumps(config_for(route={"echo": True}, policies={"hook": "hook.lua"})), encoding="utf-8")
        done = run_tidegate("check", "--config", config)
        if done.returncode:
            assert f"{hook} is not available in this version" in done.stderr
            refused.add(hook)
    assert refused == missing()[2] and len(hooks) > len(refused)


SECRET = {"internal": "secret", "a": [1]}
ANSWERS = {  # what the origin answers, and what the client gets
    "plain": (json.dumps(SECRET).encode(), {"content-type": "application/json"}, 200),
    "charset": (json.dumps(SECRET).encode(), {"content-type": "application/json; charset=utf-8"}, 200),
    "case": (json.dumps(SECRET).encode(), {"content-type": "Application/JSON;charset=utf-8"}, 200),
    "gzip": (gzip.compress(json.dumps(SECRET).encode()),
             {"content-type": "application/json", "content-encoding": "gzip"}, 502),
    "large": (json.dumps({**SECRET, "pad": "x" * 20_000_000}).encode(), {"content-type": "application/json"}, 502),
    "no JSON": (b'{"internal": "secret"', {"content-type": "application/json"}, 502),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_the_documented_policy_that_hides_a_part_lets_nothing_pass(origin, scripted, connect, case):
    body, headers, status = ANSWERS[case]
    code = next(param.values[0] for param in blocks("lua") if "data.internal = nil" in param.values[0])
    origin.on("/", body=body, headers={**headers, "etag": '"1"'}, may_break=True)
    response = connect(scripted(code, origin)).get("/", {"accept-encoding": "gzip", "range": "bytes=0-3"})
    assert response.status == status
    assert b"secret" not in response.body and response.headers.get("etag") is None
    assert origin.last.headers.get("accept-encoding") is None and origin.last.headers.get("range") is None
    if status == 200:
        assert json.loads(response.body) == {"a": [1]}
