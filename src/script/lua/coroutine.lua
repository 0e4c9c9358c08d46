-- SPDX-License-Identifier: Apache-2.0
-- Coroutines, xpcall and require as scripts see them. Runs once per VM, before any script.
--
-- A wait of the host (proxy.sleep, request:body, ...) is a yield whose first value is `wait`. One that
-- comes up from a coroutine the script made is passed on to the host, and what the host answers is
-- passed back in, so that waiting works at any depth. So is the end of a slice, a yield without values
-- that `slice` knows: true, pass it on; false, the script is inside a C function, so go on at once.
local native, wait, hosts, check_stack, slice, check_wait = ...
local native_resume, native_yield, native_running = native.resume, native.yield, native.running
local native_status = native.status
local native_create = native.create
local pcall, error, type, select, setmetatable = pcall, error, type, select, setmetatable

local function without_ok(_, ...)
  return ...
end

-- Coroutines that wait for the host inside another: nobody but that one may resume them.
local passing = setmetatable({}, { __mode = "k" })

local relay

local function resumed(co, ...)
  passing[co] = nil
  return relay(co, native_resume(co, ...))
end

local function pass_on(co, ...)
  passing[co] = true
  return resumed(co, native_yield(...))
end

function relay(co, ...)
  local ok, first = ...
  if ok and first == wait then
    check_wait()
    return pass_on(co, without_ok(...))
  end
  if ok and first == nil then
    local sliced = slice()
    if sliced then return pass_on(co) end
    if sliced == false then return relay(co, native_resume(co)) end
  end
  return ...
end

local function check(value, wanted, name)
  if type(value) == wanted then return end
  error("bad argument #1 to '" .. name .. "' (" .. wanted .. " expected, got " .. type(value) .. ")", 3)
end

-- The coroutine that runs a hook belongs to the host alone: nobody else may resume it.
local function resume(co, ...)
  check(co, "thread", "resume")
  if hosts[co] then return false, "cannot resume the coroutine of a hook" end
  if passing[co] then return false, "cannot resume non-suspended coroutine" end
  check_stack()
  return relay(co, native_resume(co, ...))
end

local function status(co)
  check(co, "thread", "status")
  if passing[co] then return "normal" end
  return native_status(co)
end

local function raise(ok, ...)
  if ok then return ... end
  error((...), 0)
end

local function create(f)
  check(f, "function", "create")
  return native_create(f)
end

local function wrap(f)
  check(f, "function", "wrap")
  local co = native_create(f)
  return function(...)
    if passing[co] then error("cannot resume non-suspended coroutine", 2) end
    check_stack()
    return raise(relay(co, native_resume(co, ...)))
  end
end

local function running()
  local co = native_running()
  if hosts[co] then return nil end
  return co
end

-- The handler runs after the failed call has been unwound, not on top of it: LuaJIT runs hooks, and
-- with them the CPU budget, only there.
local function handled(handler, ok, ...)
  if ok then return true, ... end
  return false, select(2, pcall(handler, ...))
end

local function xpcall(f, handler, ...)
  if type(handler) ~= "function" then
    error("bad argument #2 to 'xpcall' (function expected, got " .. type(handler) .. ")", 2)
  end
  return handled(handler, pcall(f, ...))
end

-- require, of the functions in require.cc. In Lua, so that a module's top level runs in slices. Inside a
-- hook the C function runs it whole: other hooks may want the module meanwhile.
local function make_require(require, keep)
  return function(name)
    local chunk, module = require(name)
    if not chunk then return module end
    return keep(name, pcall(chunk, name))
  end
end

return {
  create = create,
  resume = resume,
  running = running,
  status = status,
  wrap = wrap,
  yield = native_yield,
}, xpcall, make_require
