# SPDX-License-Identifier: Apache-2.0
"""What scripts can call, taken from the program itself, so that what is new takes part in tests by itself."""
import re

from .clock import ROOT

# The tables of `proxy` are empty ones that read from others, which only a trusted policy can see.
WALK = """
local found = {}
local function walk(path, from)
  local behind = debug.getmetatable(from)
  for key, value in pairs(behind and behind.__index or from) do
    if type(value) == "table" then walk(path .. key .. ".", value) end
    if type(value) == "function" then found[#found + 1] = path .. key end
  end
end
walk("", proxy)
function on_request(request) request:reply(200, proxy.json.encode(found)) end
"""


HOOKS = ("on_request", "select_backend", "on_response", "on_error", "on_log")


def api_functions(scripted):
    """The functions of `proxy`, such as "sleep" and "json.encode"; `scripted` is the fixture."""
    proxy = scripted(WALK, trusted=True, config={"route": {"echo": True}})
    found = sorted(proxy.get("/").json())
    assert {"sleep", "log.info", "json.encode", "url.parse", "limit", "cluster"} <= set(found)
    return found


def handle_names():
    """All names of fields and methods of handles, and of the objects that functions of `proxy` make, as the proxy's own
    tables have them."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "src/script").glob("*.cc")}
    text = sources["fields.cc"] + sources["names.cc"]
    tables = re.findall(r"k(?:Field)?(?:Names|Methods)\w*(?:\[[^\]]*\] = )?\{(.*?)\};", text, re.S)
    names = {name for table in tables for name in re.findall(r'"(\w+)"', table)}
    assert {"body", "set_body", "retry", "pick", "add", "reset"} <= names
    methods = {name for text in sources.values() for name in re.findall(r'ApiFunction k\w+\{"[\w.]+:(\w+)", true\}', text)}
    assert {"take", "contains", "redirect", "set_endpoints"} <= methods
    return sorted(names | methods)


def writable_fields():
    """(hook, field) for all that can be written, such as ("on_log", "request.vars[name]")."""
    found = _fields("read, write")
    assert {("on_request", "request.path"), ("on_response", "response.headers[name]"), ("on_log", "request.vars[name]")} <= set(found)
    return found


def callable_methods():
    """(hook, method) for all that can be called, such as ("on_log", "request:body"), where there is such a handle."""
    found = [(hook, field.removesuffix("()")) for hook, field in _fields("call")]
    for hook in HOOKS:
        found += [(hook, "limit:take"), (hook, "cidr:contains")]
        found += [(hook, f"{of}:{name}") for name in ("all", "add", "each", "count")
                  for of in ("request.headers", "request.trailers", "request.args", "response.headers", "response.trailers")]
    found = [(hook, method) for hook, method in found
             if not method.startswith("response") or hook in ("on_response", "on_log")]
    assert {("on_log", "request:body"), ("on_response", "response:retry"), ("on_error", "breaker:reset")} <= set(found)
    assert {method.partition(":")[2] for _, method in found} <= set(handle_names())
    return found


def _fields(use):
    """(hook, field) by the table in scripts/README.md, which a unit test compares with the proxy's own."""
    lines = (ROOT / "scripts/README.md").read_text(encoding="utf-8").split("\n")
    hooks = next(re.findall(r"`(\w+)`", line) for line in lines if line.startswith("| | `on_request` |"))
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines if line.count("|") == len(hooks) + 2]
    assert tuple(hooks) == HOOKS
    return [(hook, row[0]) for row in rows for hook, cell in zip(hooks, row[1:]) if cell == use]
