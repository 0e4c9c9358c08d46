-- SPDX-License-Identifier: Apache-2.0
-- Coroutines and xpcall as scripts see them. Runs once per VM, before any script.
--
-- A wait of the host (proxy.sleep, request:body, ...) is a yield whose first value is `wait`. One that
-- comes up from a coroutine the script made is passed on to the host, and what the host answers is
-- passed back in, so that waiting works at any depth.
local native, wait, hosts, check_stack = ...
local native_resume, native_yield, native_running = native.resume, native.yield, native.running
local create = native.create
local pcall, error, type, select = pcall, error, type, select

local function without_ok(_, ...)
  return ...
end

local function relay(co, ...)
  local ok, first = ...
  if ok and first == wait then
    return relay(co, native_resume(co, native_yield(without_ok(...))))
  end
  return ...
end

-- The coroutine that runs a hook belongs to the host alone: nobody else may resume it.
local function resume(co, ...)
  if hosts[co] then return false, "cannot resume the coroutine of a hook" end
  check_stack()
  return relay(co, native_resume(co, ...))
end

local function raise(ok, ...)
  if ok then return ... end
  error((...), 0)
end

local function wrap(f)
  local co = create(f)
  return function(...)
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

return {
  create = create,
  resume = resume,
  running = running,
  status = native.status,
  wrap = wrap,
  yield = native_yield,
}, xpcall
