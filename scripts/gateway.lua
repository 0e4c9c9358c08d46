-- SPDX-License-Identifier: Apache-2.0
-- An API gateway: the first segments of the path choose the service.
--
--   policies:
--     gateway:
--       script: scripts/gateway.lua
--       options:
--         services:
--           /api/users: users                              # prefix: cluster
--           /api/orders: { cluster: orders, strip: true }  # /api/orders/7 reaches it as /7
--           /pay: { cluster: payments, strip: true, host: payments.internal }
--         otherwise: not_found      # or pass: go on to the route's own cluster
--   routes:
--     - { cluster: users, policies: [gateway] }   # with host: preserve, the default
--
-- The longest prefix wins, on segment borders: /pay takes /pay and /pay/x, not /payments. With
-- strip, x-forwarded-prefix tells the origin what was taken off. A cluster that the config does not
-- have fails the requests of that prefix with script_error.

local opt = require("lib.options") { services = "map", otherwise = { "string", "not_found" } }

local function refuse(prefix, message)
  error(("option 'services': '%s' %s"):format(prefix, message), 2)
end

local keys = { cluster = "string", strip = "boolean", host = "string" }
local called = { string = "a text", boolean = "true or false" }

local function check(prefix, service)
  if not prefix:find("^/") or prefix:find("//", 1, true) or prefix:find("[?#%%%s]") then
    refuse(prefix, "is not a plain path prefix")
  end
  if type(service) == "string" then service = { cluster = service } end
  if type(service) ~= "table" then refuse(prefix, "needs a cluster") end
  for key, value in pairs(service) do
    if not keys[key] then refuse(prefix, "has no key '" .. tostring(key) .. "'") end
    if type(value) ~= keys[key] then refuse(prefix, "needs " .. called[keys[key]] .. " as " .. key) end
  end
  if not service.cluster then refuse(prefix, "needs a cluster") end
  if service.host and service.host:find("[%s%c/]") then refuse(prefix, "has a wrong host") end
  prefix = prefix:gsub("/$", "")  -- "/" becomes "", which every path begins with
  return { prefix = prefix, cluster = service.cluster, strip = service.strip, host = service.host }
end

local services = {}
for prefix, service in pairs(opt.services) do services[#services + 1] = check(prefix, service) end
table.sort(services, function(a, b)
  if #a.prefix ~= #b.prefix then return #a.prefix > #b.prefix end
  return a.prefix < b.prefix
end)
for i = 2, #services do
  if services[i].prefix == services[i - 1].prefix then refuse(services[i].prefix, "is there twice") end
end
if opt.otherwise ~= "not_found" and opt.otherwise ~= "pass" then
  error("option 'otherwise' must be not_found or pass")
end

local slash = ("/"):byte()

local function find(path)
  for _, service in ipairs(services) do
    local size = #service.prefix
    if path:sub(1, size) == service.prefix and (#path == size or path:byte(size + 1) == slash) then
      return service
    end
  end
end

function on_request(request)
  local path = request.path
  local service = find(path)
  if not service then
    if opt.otherwise == "not_found" then request:reply(404, "There is no such service.\n") end
    return
  end
  request.cluster = service.cluster
  if service.host then request.headers["host"] = service.host end
  if service.strip and service.prefix ~= "" then
    local rest = path:sub(#service.prefix + 1)
    request.path = rest ~= "" and rest or "/"
    request.headers["x-forwarded-prefix"] = service.prefix
  end
end
