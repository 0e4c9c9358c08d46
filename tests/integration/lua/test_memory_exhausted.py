# SPDX-License-Identifier: Apache-2.0
"""Every function of the API, and every field, method and iterator of every handle, read and written, in every hook, once
in a VM that is full: a script error or nil and a message, never the end of the process, and the next request is served."""
import re

import pytest

from support.api import api_functions, handle_names, writable_fields
from support.clock import eventually

SCRIPT = """
local cap = options.memory
local arguments = { "some text", 0.001, 8, { "10.0.0.0/8" }, { a = { b = "c" } }, false }

-- Until only `slack` bytes are left, in pieces that get smaller.
local function fill(slack)
  local full = {}
  for _, size in ipairs { 65536, 4096, 256 } do
    while collectgarbage("count") * 1024 + size + 4096 < cap - slack do
      full[#full + 1] = (#full .. ":"):rep(size / #(#full .. ":"))
    end
  end
  return full
end

-- What it gives is kept, so that there is less room each time.
local function exhaust(slack, f, self)
  local full = fill(slack)
  for round = 1, 300 do
    for i = 1, 6 do
      local value = arguments[i]
      if not (f == proxy.sleep and value ~= 0.001) then
        local results = self and { pcall(f, self, value, value) } or { pcall(f, value) }
        full[#full + 1] = results
        full[#full + 1] = tostring(round * 6 + i) .. ("."):rep(64)
      end
    end
  end
end

local limit, cidr = proxy.limit("few"), proxy.ip.cidr("10.0.0.0/8")

local function index(handle, name) return handle[name] end

local function iterate(handle)
  local seen = {}
  for name, value in handle:each() do seen[#seen + 1] = name .. "=" .. value end
  return seen
end

local function write(handle, name)
  local written = 0
  return function(value)
    written = written + 1
    handle[name == "[name]" and "x-" .. written or name] = value
  end
end

local ways = {
  iterate = function(slack, handle) exhaust(slack, iterate, handle) end,
  write = function(slack, handle, name) exhaust(slack, write(handle, name)) end,
}

local function hook(request, handles)
  local name, kind, way = request.headers["x-name"], request.headers["x-kind"], ways[request.headers["x-way"]]
  local slack = tonumber(request.headers["x-slack"])
  if kind == "proxy" and handles.request and not handles.cluster then
    local f = proxy
    for key in name:gmatch("[^.]+") do f = f[key] end
    return exhaust(slack, f)
  end
  local handle = handles[kind]
  if handle == nil then return end
  if way then return way(slack, handle, name) end
  local known, method = pcall(index, handle, name)
  if not known then return end
  if type(method) == "function" then return exhaust(slack, method, handle) end
  exhaust(slack, function() return handle[name] end)
end

function on_request(request)
  if request.path == "/fine" then return request:reply(200, "fine") end
  for i = 1, 9 do request.args:add("arg" .. i, "value") end
  for i = 1, 3 do request.trailers:add("x-late-" .. i, "value") end
  hook(request, { request = request, request_headers = request.headers, request_trailers = request.trailers, vars = request.vars,
    args = request.args, limit = limit, cidr = cidr })
end

function select_backend(request, cluster)
  local endpoint = cluster.endpoints[1]
  local handles = { cluster = cluster, endpoint = endpoint, breaker = endpoint.breaker, select_request = request,
    select_request_headers = request.headers, select_request_trailers = request.trailers, select_args = request.args,
    select_vars = request.vars }
  if request.attempt > 1 then -- there is a last failure
    handles = { request_again = request, breaker_again = endpoint.breaker }
  end
  hook(request, handles)
  local fails = request.path == "/fails" or request.path == "/again" and request.attempt == 1
  return cluster.endpoints[fails and 1 or 2]
end

function on_response(response, request)
  if request.path ~= "/fine" then
    response.trailers["x-late"] = "so late"
    hook(request, { response = response, response_headers = response.headers, response_trailers = response.trailers,
      response_vars = request.vars })
  end
end

function on_error(request, failure)
  hook(request, { error_request = request, error_headers = request.headers, error_vars = request.vars })
end

function on_log(request, response)
  if request.path ~= "/fine" then
    hook(request, { log_request = request, log_headers = request.headers, log_args = request.args, log_vars = request.vars,
      log_response = response, log_response_headers = response and response.headers })
  end
end
"""
MEMORY = 1 << 20
KINDS = ["request", "request_headers", "request_trailers", "args", "vars", "limit", "cidr", "cluster", "endpoint", "breaker",
         "select_request", "request_again", "breaker_again", "response", "response_headers", "response_trailers",
         "error_request", "error_headers", "error_vars", "log_request", "log_headers", "log_args", "log_vars", "log_response",
         "log_response_headers"]
ITERATED = ["request_headers", "request_trailers", "args", "response_headers", "response_trailers", "error_headers",
            "log_headers", "log_args", "log_response_headers"]


def path_of(kind):
    return "/fails?a=1" if kind.startswith("error") else "/again?a=1" if kind.endswith("_again") else "/x?a=1"


def hook_of(kind):
    if kind.startswith(("error", "log")):
        return "on_" + kind.partition("_")[0]
    if kind.startswith("response"):
        return "on_response"
    selects = kind in ("cluster", "endpoint", "breaker") or kind.endswith("_again") or kind.startswith("select")
    return "select_backend" if selects else "on_request"


@pytest.fixture
def full(scripted, origin):
    origin.otherwise(body=b"body", headers={"x-a": "b", "x-c": "d"})

    def start(**config):
        proxy = scripted(SCRIPT, "http://127.0.0.1:1", origin, options={"memory": MEMORY},
                         budget={"memory": "1MiB", "cpu": "10s", "time": "20s"}, config={
                             "log": {"access": "off"}, "limits": {"few": {"rate": "100000/s", "key": "global"}},
                             "cluster": {"retry": {"max_retries": 1, "on": ["connect"], "non_idempotent": True, "budget": "100%"},
                                         "breaker": {"max_failures": 1000000}}, **config})

        def run(client, kind, name, slack, way=""):
            headers = {"x-kind": kind, "x-name": name, "x-slack": str(slack), "x-way": way}
            status = client.post(path_of(kind), b"body", headers).status
            assert 200 <= status < 600, (kind, name, slack, status)
            what = f"after {kind} {name} {way} with {slack} bytes left"
            if kind.startswith("log"):  # it goes on after the answer, and fills the VM until it is over
                eventually(lambda: client.get("/fine").text == "fine", what=what)
            else:
                assert client.get("/fine").text == "fine", what
            return status
        run.proxy = proxy
        return run
    return start


def expect_breaches(full, hook):
    """The VM was full in that hook, and nothing else went wrong anywhere."""
    metrics = full.proxy.metrics()
    assert metrics("proxy_script_errors_total", policy="policy", hook=hook, kind="memory") > 0
    for kind in ("error", "cpu", "time"):
        assert metrics("proxy_script_errors_total", default=0, policy="policy", kind=kind) == 0, kind


def test_every_function_of_proxy_in_a_full_vm(full, connect, scripted):
    full = full()
    client = connect(full.proxy)
    statuses = [full(client, "proxy", name, slack) for name in api_functions(scripted) for slack in (0, 1000, 8000)]
    assert statuses.count(500) > len(statuses) // 4, "the VM was not full"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_and_method_in_a_full_vm(full, connect, kind):
    full = full()
    client = connect(full.proxy)
    for name in handle_names():
        for slack in (0, 2000):
            full(client, kind, name, slack)
    expect_breaches(full, hook_of(kind))


@pytest.mark.parametrize("kind", ITERATED)
def test_every_iterator_in_a_full_vm(full, connect, kind):
    full = full()
    client = connect(full.proxy)
    for slack in range(0, 4000, 200):
        full(client, kind, "each", slack, "iterate")
    expect_breaches(full, hook_of(kind))


@pytest.mark.parametrize("hook, field", writable_fields())
def test_every_write_in_a_full_vm(full, connect, hook, field):
    full = full()
    client = connect(full.proxy)
    handle, name = re.fullmatch(r"([\w.]+?)(\[name\]|\.\w+)", field).groups()
    kind = handle.replace("request.args", "args").replace("request.vars", "vars").replace(".", "_")
    prefix = {"on_error": "error_", "on_log": "log_", "select_backend": "select_"}.get(hook, "")
    if hook == "on_response" and kind == "vars":
        prefix = "response_"
    for slack in range(0, 4000, 200):
        full(client, prefix + kind, name.lstrip("."), slack, "write")
    expect_breaches(full, hook)


def test_tls_in_a_full_vm(full, connect, authority):
    """What request.tls and request.tls.client hold is made when they are read."""
    full = full(listener={"tls": {"certificates": [authority.local.entry], "client_ca": str(authority.cert)}})
    client = connect(full.proxy, tls=authority.trust(authority.issue("bob", "DNS:bob.example")))
    for kind in ("request", "log_request", "error_request"):
        for slack in range(0, 4000, 200):
            full(client, kind, "tls", slack)
        expect_breaches(full, hook_of(kind))
