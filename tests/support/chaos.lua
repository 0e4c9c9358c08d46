-- SPDX-License-Identifier: Apache-2.0
-- A policy that does everything that a script can do, in every hook, chosen by a seed. It keeps what it is given and
-- uses it where it must not, and says "chaos: ..." in the log of what should not be possible.
local names, seed = options.names, options.seed -- of fields and methods, as the proxy itself lists them
local kept = {}                                 -- { value, owner }: handles of all exchanges so far
local kept_size, kept_next = 48, 1
local closures, coroutines = {}, {}
local forged = {}
local running -- marker of the exchange whose hook runs
last_request, last_response, last_cluster = nil, nil, nil

-- ---- chance ----

local function dice_of(number)
  local state = (number * 7919 + seed * 104729) % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

local function one_of(dice, list) return list[dice(#list)] end

-- ---- the functions of `proxy`, by their names ----

local functions = {}
for _, path in ipairs(options.functions) do
  local value = proxy
  for key in path:gmatch("[^.]+") do value = value[key] end
  functions[#functions + 1] = { path, value }
end

-- ---- values to hand over ----

local texts = { "", "x", "x-a", "content-length", "a\r\nb: c", "\0", "/p", "/%zz", "h2", "app", "none", "few", "GET", "POST",
  "10.0.0.1", "10.0.0.0/8", "{\"a\":[1,2,{}]}", "%41", "aGk=", ("y"):rep(5000), "http://127.0.0.1:1/x?y=z#f", "ä\255" }
local numbers = { 0, 1, 2, -1, 0.001, 200, 204, 304, 404, 503, 599, 65536, 2 ^ 31, 1e15, 1e300, 0 / 0, 1 / 0 }

local function value_for(ctx)
  local dice = ctx.dice
  local kind = dice(12)
  if kind <= 3 then return one_of(dice, texts) end
  if kind <= 5 then return one_of(dice, numbers) end
  if kind == 6 then return ({ true, false })[dice(2)] end
  if kind == 7 then return ({ {}, { ["x-a"] = "b" }, { 1, 2, 3 }, { a = { b = {} } }, { "10.0.0.0/8" }, { url = "x" } })[dice(6)] end
  if kind == 8 and #forged > 0 then return one_of(dice, forged) end
  if kind == 9 and kept[1] then return kept[dice(#kept)].value end
  if kind == 10 then return ctx.own[dice(#ctx.own)] end
  if kind == 11 then return ({ pcall, function() return ctx.marker end, proxy.json.null, coroutine.create(pcall) })[dice(4)] end
  return nil
end

-- ---- handles ----

local portable = {} -- kinds of objects that belong to no exchange, and so work everywhere
for _, make in ipairs({ function() return proxy.limit("few") end, function() return proxy.ip.cidr("10.0.0.0/8") end }) do
  local made = make()
  portable[getmetatable(made)] = true
  forged[#forged + 1] = made
end

local function remember(ctx, value)
  if type(value) ~= "userdata" or value == proxy.json.null or portable[getmetatable(value)] then return end
  ctx.own[#ctx.own + 1] = value
  kept[kept_next] = { value = value, owner = ctx.marker }
  kept_next = kept_next % kept_size + 1
end

-- A text that was read in this exchange can bear its own marker only.
local function look(ctx, value, from)
  if type(value) == "string" then
    for marker in value:gmatch("mk%d+k") do
      if marker ~= ctx.marker then
        proxy.log.error("chaos: another's marker", { from = from, saw = marker, own = ctx.marker, hook = ctx.hook })
      end
    end
  elseif type(value) == "userdata" then
    remember(ctx, value)
  elseif type(value) == "table" and not value.dice then -- what a stolen coroutine was resumed with is no answer
    local count = 0
    for _, item in pairs(value) do
      count = count + 1
      if count > 3 then break end
      if type(item) ~= "table" then look(ctx, item, from) end
    end
  end
end

local function back(ctx) running = ctx.marker end -- after all that may wait

local function call(ctx, from, f, ...)
  local results = { pcall(f, ...) }
  back(ctx)
  for i = 2, 4 do look(ctx, results[i], from) end
  return results[1]
end

local function index(handle, name) return handle[name] end
local function assign(handle, name, value) handle[name] = value end

-- One of the handle's methods, if it has any.
local function method_of(ctx, handle)
  local methods = {}
  for _, name in ipairs(names) do
    local fine, value = pcall(index, handle, name)
    if fine and type(value) == "function" then methods[#methods + 1] = value end
  end
  return methods[1] and one_of(ctx.dice, methods)
end

local function use(ctx, handle)
  local dice = ctx.dice
  local name = one_of(dice, names)
  local fine, value = pcall(index, handle, name)
  if not fine then return false end
  look(ctx, value, name)
  if type(value) == "function" then
    return call(ctx, name, value, handle, value_for(ctx), value_for(ctx), value_for(ctx))
  elseif dice(3) == 1 then
    return call(ctx, name, assign, handle, name, value_for(ctx))
  end
  return true
end

-- Of an exchange that does not run: each way to use it must raise.
local function misuse(ctx, entry)
  if entry.owner == ctx.marker then return use(ctx, entry.value) end
  local name = one_of(ctx.dice, names)
  local how = ctx.dice(3)
  local fine, result
  if how == 1 then
    fine, result = pcall(index, entry.value, name)
  elseif how == 2 then
    fine, result = pcall(assign, entry.value, name, ctx.marker)
  else
    local method = method_of(ctx, one_of(ctx.dice, ctx.own))
    if not method then return end
    fine, result = pcall(method, entry.value, ctx.marker)
    back(ctx)
  end
  -- A coroutine that was resumed by another may still believe that its own exchange runs.
  if fine and pcall(index, ctx.request, "id") then
    proxy.log.error("chaos: a handle of another exchange works",
      { name = name, again = tostring((pcall(index, entry.value, name))), how = how, result = tostring(result), owner = entry.owner, runs = ctx.marker, hook = ctx.hook })
  end
end

-- ---- what a hook does ----

local actions = {}

function actions.use_own(ctx) use(ctx, ctx.own[ctx.dice(#ctx.own)]) end
actions.use_own_again = actions.use_own

function actions.call_proxy(ctx)
  local entry = one_of(ctx.dice, functions)
  if entry[1] == "sleep" then return call(ctx, entry[1], entry[2], ctx.dice(4) * 0.001) end
  call(ctx, entry[1], entry[2], value_for(ctx), value_for(ctx), value_for(ctx))
end

function actions.use_kept(ctx)
  if kept[1] then misuse(ctx, kept[ctx.dice(#kept)]) end
end

-- The ones most likely still alive: of the exchange that ran last.
function actions.use_last(ctx)
  if last_request then misuse(ctx, last_request) end
  if last_response then misuse(ctx, last_response) end
  if last_cluster then misuse(ctx, last_cluster) end
end

-- A method of one handle on whatever else there is.
function actions.mix_up(ctx)
  local method = method_of(ctx, one_of(ctx.dice, ctx.own))
  if not method then return end
  for _, list in ipairs({ ctx.own, forged, { value_for(ctx), value_for(ctx) } }) do
    for i = 1, math.min(#list, 40) do call(ctx, "mixed", method, list[i], value_for(ctx)) end
  end
end

function actions.sleep(ctx)
  proxy.sleep(ctx.dice(5) * 0.001)
  back(ctx)
end

function actions.bodies(ctx)
  look(ctx, ctx.request:body(), "request:body")
  back(ctx)
  if ctx.response then look(ctx, ctx.response:body(), "response:body") end
  back(ctx)
end

function actions.edit(ctx)
  local headers = ctx.request.headers
  call(ctx, "headers", assign, headers, "x-edit", ctx.marker)
  call(ctx, "add", headers.add, headers, "x-more", ctx.marker)
  for name, value in headers:each() do look(ctx, value, name) end
  call(ctx, "set_body", ctx.request.set_body, ctx.request, ctx.marker .. " by a script")
  if ctx.response then call(ctx, "set_body", ctx.response.set_body, ctx.response, ctx.marker .. " by a script") end
end

function actions.keep_in_closure(ctx)
  local request, response = ctx.request, ctx.response
  closures[ctx.dice(8)] = function(other)
    misuse(other, { value = request, owner = ctx.marker })
    if response then misuse(other, { value = response, owner = ctx.marker }) end
  end
end

function actions.run_closure(ctx)
  local closure = closures[ctx.dice(8)]
  if closure then closure(ctx) end
end

function actions.keep_in_coroutine(ctx)
  local request = ctx.request
  local co = coroutine.create(function(other)
    while true do
      if other then misuse(other, { value = request, owner = ctx.marker }) end
      other = coroutine.yield()
    end
  end)
  coroutine.resume(co, ctx)
  coroutines[ctx.dice(8)] = co
end

-- It may stop at its wait when the exchange ends, and be resumed by another.
function actions.wait_in_coroutine(ctx)
  local wait = ({ function() proxy.sleep(0.002) end, function() return ctx.request:body() end })[ctx.dice(2)]
  local co = coroutine.create(function()
    wait()
    wait()
  end)
  coroutines[ctx.dice(8)] = co
  coroutine.resume(co)
  back(ctx)
end

function actions.resume_coroutine(ctx)
  local co = coroutines[ctx.dice(8)]
  if co then coroutine.resume(co, ctx) end
  back(ctx)
end

function actions.reply(ctx)
  if ctx.hook == "on_log" or ctx.dice(3) > 1 then return end
  ctx.request:reply(one_of(ctx.dice, { 200, 204, 403, 503 }), ctx.marker .. " replied", { ["x-reply"] = ctx.marker })
end

function actions.retry(ctx)
  if ctx.hook == "on_response" then ctx.response:retry() end
end

function actions.garbage(ctx)
  local list = {}
  for i = 1, 50 * ctx.dice(20) do list[i] = ctx.marker .. i end
  if ctx.dice(300) == 1 then
    while true do list[#list + 1] = ("z"):rep(10000) .. #list end -- until the budget ends it
  end
end

function actions.fail(ctx)
  if ctx.dice(4) == 1 then error("chaos on purpose " .. ctx.marker) end
end

-- Only where it can be interrupted.
function actions.spin(ctx)
  if options.spins and ctx.dice(20) == 1 then
    while true do end
  end
end

local action_names = {}
for name in pairs(actions) do action_names[#action_names + 1] = name end
table.sort(action_names)

-- ---- each function once in each hook: "x-sweep: HOOK WAY FUNCTION" ----

local swept = {}   -- "HOOK WAY FUNCTION": it has been called so
local pending = {} -- marker -> what was called before a wait in which the client is to leave

-- The function of that name, and the handle that it is a method of.
local function find_function(path, request, response)
  local object, name = path:match("(.*):(.*)")
  if not object then
    local f = proxy
    for key in path:gmatch("[^.]+") do f = f[key] end
    return f
  end
  local of = { limit = forged[1], cidr = forged[2], cluster = proxy.cluster("spare") }
  of.breaker, of.request, of.response = of.cluster.breaker, request, response
  local handle = of
  for key in object:gmatch("[^.]+") do handle = handle[key] end
  return handle[name], handle
end

local function call_swept(ctx, what, path)
  local f, handle = find_function(path, ctx.request, ctx.response)
  if path == "sleep" then
    call(ctx, path, f, 0.001)
  elseif handle then
    call(ctx, path, f, handle, value_for(ctx), value_for(ctx))
  else
    call(ctx, path, f, value_for(ctx), value_for(ctx), value_for(ctx))
  end
  if what then swept[what] = true end
end

-- Longer than a client waits before it leaves. What gets past it has not been left.
local function wait_for_abort(ctx)
  proxy.sleep(0.35)
  pending[ctx.marker] = nil
end

local function sweep(ctx, what)
  local hook, way, path = what:match("(%S+) (%S+) (%S+)")
  local left = pending[ctx.marker]
  if ctx.hook == "on_log" then
    pending[ctx.marker] = nil
    if left and hook ~= "on_log" then swept[left] = true end
    if hook == "on_log" and (way ~= "abort" or left) then
      if way == "wait" then proxy.sleep(0.001) end
      call_swept(ctx, what, path)
    end
  elseif hook == "on_log" and way == "abort" and ctx.hook == (path:find("^response") and "on_response" or "on_request") then
    pending[ctx.marker] = what
    wait_for_abort(ctx)
  elseif hook == ctx.hook and not left then
    if way == "wait" then proxy.sleep(0.001) end
    if way == "abort" then pending[ctx.marker] = what end
    call_swept(ctx, way ~= "abort" and what, path)
    if way == "abort" then wait_for_abort(ctx) end
  end
end

local function run(hook, request, response, cluster)
  local marker = request.vars.marker or request.headers["x-marker"]
  if not marker or request.route == "inner" then return end -- it has run as the outer one's
  local ctx = { marker = marker, hook = hook, request = request, response = response, own = {} }
  running = marker
  ctx.dice = dice_of(tonumber(marker:match("%d+")) * 8 + #hook + options.salt)
  for _, handle in pairs({ request, request.headers, request.trailers, request.args, request.vars, cluster, cluster and cluster.endpoints[1],
    cluster and cluster.endpoints[1].breaker, response and response.headers, response and response.trailers, response }) do
    remember(ctx, handle)
  end
  ctx.own[#ctx.own + 1], ctx.own[#ctx.own + 2] = forged[1], forged[2] -- the limit and the address list
  if request.headers["x-sweep"] then
    if tonumber(marker:match("%d+")) % 2 + 1 == options.salt then sweep(ctx, request.headers["x-sweep"]) end
    return
  end
  actions.use_last(ctx)
  last_request, last_response = { value = request, owner = marker }, response and { value = response, owner = marker }
  if cluster then last_cluster = { value = cluster, owner = marker } end
  for _ = 1, ctx.dice(5) do
    actions[one_of(ctx.dice, action_names)](ctx)
  end
  return ctx
end

-- ---- hooks ----

function on_request(request)
  local marker = request.headers["x-marker"]
  if not marker and request.path == "/quiet" then
    kept, closures, coroutines, last_request, last_response, last_cluster = {}, {}, {}, nil, nil, nil
    collectgarbage()
    local calls = {}
    for what in pairs(swept) do calls[#calls + 1] = what end
    return request:reply(200, table.concat(calls, "\n"))
  end
  request.vars.marker = marker
  run("on_request", request)
end

function select_backend(request, cluster)
  local ctx = run("select_backend", request, nil, cluster)
  if not ctx or ctx.dice(2) == 1 then return nil end
  if ctx.dice(20) == 1 then return value_for(ctx) end
  return cluster.endpoints[ctx.dice(#cluster.endpoints)]
end

function on_response(response, request)
  if not run("on_response", request, response) then return end
  pcall(assign, response.headers, "x-scripted", request.vars.marker or request.headers["x-marker"])
end

function on_error(request, failure)
  local ctx = run("on_error", request)
  if ctx and ctx.dice(3) == 1 then
    request:reply(failure.status, ctx.marker .. " " .. failure.error, { ["x-error"] = failure.error })
  end
end

function on_log(request, response) run("on_log", request, response) end

-- ---- top level: everything once, where most of it must raise ----

local top = { marker = "mk0k", hook = "top level", own = { {} }, dice = dice_of(options.salt) }
for size = 16, 64, 8 do
  for kind = 0, 15 do
    local magic = ("ndit" .. string.char(kind) .. "\0\0\0" .. "\1\0\0\0\0\0\0\0" .. ("ABCDEF\0\0"):rep(8)):sub(1, size)
    local fine, made = pcall(proxy.limit, magic)
    if fine then forged[#forged + 1] = made end
  end
end
for _, entry in ipairs(functions) do
  if entry[1] ~= "sleep" then pcall(entry[2], value_for(top), value_for(top), value_for(top)) end
end
