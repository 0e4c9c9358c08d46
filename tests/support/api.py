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


def api_functions(scripted):
    """The functions of `proxy`, such as "sleep" and "json.encode"; `scripted` is the fixture."""
    proxy = scripted(WALK, trusted=True, config={"route": {"echo": True}})
    found = sorted(proxy.get("/").json())
    assert {"sleep", "log.info", "json.encode", "url.parse", "limit", "cluster"} <= set(found)
    return found


def handle_names():
    """All names of fields and methods of handles, as the proxy's own table has them."""
    text = "".join((ROOT / "src/script" / file).read_text(encoding="utf-8") for file in ("fields.cc", "names.cc"))
    tables = re.findall(r"k(?:Field)?(?:Names|Methods)\w*(?:\[[^\]]*\] = )?\{(.*?)\};", text, re.S)
    names = {name for table in tables for name in re.findall(r'"(\w+)"', table)}
    assert {"body", "set_body", "retry", "pick", "add", "reset"} <= names
    return sorted(names)
