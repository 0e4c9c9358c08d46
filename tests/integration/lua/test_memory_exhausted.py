# SPDX-License-Identifier: Apache-2.0
"""Every function of the API, and every field and method of every handle, once in a VM that is full: a script error or nil
and a message, never the end of the process, and the next request is served."""
import pytest

from support.api import api_functions, handle_names

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

local function index(handle, name) return handle[name] end

local function hook(request, handles)
  local name, kind = request.headers["x-name"], request.headers["x-kind"]
  local slack = tonumber(request.headers["x-slack"])
  if kind == "proxy" and handles.request and not handles.cluster then
    local f = proxy
    for key in name:gmatch("[^.]+") do f = f[key] end
    return exhaust(slack, f)
  end
  local handle = handles[kind]
  if handle == nil then return end
  local known, method = pcall(index, handle, name)
  if not known then return end
  if type(method) == "function" then return exhaust(slack, method, handle) end
  exhaust(slack, function() return handle[name] end)
end

function on_request(request)
  if request.path == "/fine" then return request:reply(200, "fine") end
  hook(request, { request = request, request_headers = request.headers, request_trailers = request.trailers, vars = request.vars })
end

function select_backend(request, cluster)
  local endpoint = cluster.endpoints[1]
  hook(request, { cluster = cluster, endpoint = endpoint, breaker = endpoint.breaker })
end

function on_response(response, request)
  if request.path ~= "/fine" then
    hook(request, { response = response, response_headers = response.headers, response_trailers = response.trailers })
  end
end
"""
MEMORY = 1 << 20
KINDS = ["request", "request_headers", "request_trailers", "vars", "cluster", "endpoint", "breaker", "response",
         "response_headers", "response_trailers"]


@pytest.fixture
def full(scripted, origin):
    proxy = scripted(SCRIPT, origin, options={"memory": MEMORY},
                     budget={"memory": "1MiB", "cpu": "10s", "time": "2s"}, config={"log": {"access": "off"}})

    def run(client, kind, name, slack):
        headers = {"x-kind": kind, "x-name": name, "x-slack": str(slack)}
        status = client.post("/x", b"body", headers).status
        assert 200 <= status < 600, (kind, name, slack, status)
        assert client.get("/fine").text == "fine", f"after {kind} {name} with {slack} bytes left"
        return status
    run.proxy = proxy
    return run


def expect_some_breaches(statuses):
    assert statuses.count(500) > len(statuses) // 4, "the VM was not full"


def test_every_function_of_proxy_in_a_full_vm(full, connect, scripted):
    client = connect(full.proxy)
    expect_some_breaches([full(client, "proxy", name, slack)
                          for name in api_functions(scripted) for slack in (0, 1000, 8000)])


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_and_method_in_a_full_vm(full, connect, kind):
    client = connect(full.proxy)
    statuses = [full(client, kind, name, slack) for name in handle_names() for slack in (0, 2000)]
    assert 500 in statuses, "the VM was never full"
