-- SPDX-License-Identifier: Apache-2.0
-- Edits headers: of requests before the origin sees them, of responses before the client does.
--
--   policies:
--     headers:
--       script: scripts/header_rewrite.lua
--       options:
--         request:
--           remove: [x-debug]                              # first
--           set: { x-environment: production, x-caller: "{client_ip}" }
--           add: { x-tag: edge }                           # beside those that are there
--           default: { accept-language: en }               # only where there is none
--         response:
--           remove: [server, x-powered-by]
--           set: { x-request-id: "{id}" }
--
-- In values, {client_ip} {host} {id} {method} {path} {route} {scheme} stand for the request's own.
-- Headers that frame the message (content-length, connection, ...) belong to the proxy: refused.

local opt = require("lib.options") { request = { "map", {} }, response = { "map", {} } }

local placeholders =
  { client_ip = true, host = true, id = true, method = true, path = true, route = true, scheme = true }
local framing = {
  ["connection"] = true, ["content-length"] = true, ["http2-settings"] = true, ["keep-alive"] = true,
  ["proxy-connection"] = true, ["te"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}

local function refuse(where, message, ...)
  error(("option '%s': "):format(where) .. message:format(...), 2)
end

local function check_name(where, name)
  if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    refuse(where, "not a header name: '%s'", tostring(name))
  end
  if framing[name:lower()] then refuse(where, "the header %s belongs to the proxy", name) end
end

local function check_value(where, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    refuse(where, "a header's value is a text, not a %s", type(value))
  end
  value = tostring(value)
  if value:find("[%c]") then refuse(where, "control characters in '%s'", value) end
  for name in value:gmatch("{([%w_]+)}") do
    if not placeholders[name] then refuse(where, "there is no {%s}", name) end
  end
  return value
end

-- The edits of one direction as lists: { remove = { name... }, set = { { name, value }... }, ... }.
local function compile(side)
  local edits = { remove = {}, set = {}, add = {}, default = {} }
  for action, headers in pairs(opt[side]) do
    local where = side .. "." .. action
    if not edits[action] then refuse(where, "there are: remove, set, add, default") end
    if type(headers) ~= "table" then refuse(where, "must list headers") end
    for key, value in pairs(headers) do
      local name = action == "remove" and value or key
      check_name(where, name)
      local edit = action == "remove" and name or { name, check_value(where, value) }
      table.insert(edits[action], edit)
    end
  end
  return edits
end

local function expand(value, request)
  if not value:find("{", 1, true) then return value end
  return (value:gsub("{([%w_]+)}", function(name) return request[name] or "" end))
end

local function apply(edits, headers, request)
  for _, name in ipairs(edits.remove) do headers[name] = nil end
  for _, edit in ipairs(edits.set) do headers[edit[1]] = expand(edit[2], request) end
  for _, edit in ipairs(edits.add) do headers:add(edit[1], expand(edit[2], request)) end
  for _, edit in ipairs(edits.default) do
    if not headers[edit[1]] then headers[edit[1]] = expand(edit[2], request) end
  end
end

local request_edits, response_edits = compile("request"), compile("response")

function on_request(request)
  apply(request_edits, request.headers, request)
end

function on_response(response, request)
  apply(response_edits, response.headers, request)
end
