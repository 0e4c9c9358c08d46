-- SPDX-License-Identifier: Apache-2.0
-- Two answers made from the configuration in use: change the file, reload, and they change.
--   /health     is there an endpoint for every cluster?
--   /services   which prefix leads where, and what goes on there
local prefixes = {}
for prefix in pairs(options.services) do prefixes[#prefixes + 1] = prefix end
table.sort(prefixes)

local function reply_json(request, status, value)
  request:reply(status, proxy.json.encode(value) .. "\n",
    { ["content-type"] = "application/json", ["cache-control"] = "no-store" })
end

local function health(request)
  local status, clusters = 200, {}
  for _, cluster in ipairs(proxy.clusters()) do
    clusters[cluster.name] = cluster.healthy and "up" or "down"
    if not cluster.healthy then status = 503 end
  end
  reply_json(request, status, { status = status == 200 and "up" or "degraded", clusters = clusters })
end

local function services(request)
  local clusters, list = {}, proxy.json.array {}
  for _, cluster in ipairs(proxy.clusters()) do clusters[cluster.name] = cluster end
  for _, prefix in ipairs(prefixes) do
    local name = options.services[prefix].cluster
    list[#list + 1] = { prefix = prefix, cluster = name, endpoints = clusters[name] and clusters[name].endpoints }
  end
  reply_json(request, 200, { services = list })
end

local answers = { ["/health"] = health, ["/services"] = services }

function on_request(request)
  local answer = answers[request.path]
  if answer then answer(request) end
end
