-- SPDX-License-Identifier: Apache-2.0
-- Asks for a bearer token; the origin learns whose it was, and never sees the token.
--
--   policies:
--     api_clients:
--       script: scripts/bearer_token.lua
--       env: [CI_TOKEN, GRAFANA_TOKEN]      # what the policy may read
--       options:
--         tokens:                           # client: the variable that holds its token
--           ci: CI_TOKEN
--           grafana: GRAFANA_TOKEN
--         realm: api                        # named in the answer 401
--         client_header: x-client           # tells the origin who it is; a client's own is dropped
--         strip: true                       # take the Authorization header off
--
-- A variable may hold several tokens with spaces between them, so that they can be changed without a
-- gap. Tokens stand in the environment, so a new one needs a restart. One that is not set, or is
-- shorter than 16 characters, is an error at load: an empty token would let everybody in.

local opt = require("lib.options") {
  tokens = "map",
  realm = { "string", "api" },
  client_header = { "string", "x-client" },
  strip = { "boolean", true },
}
local shortest = 16

local clients = {}
for client, variable in pairs(opt.tokens) do
  local value = type(variable) == "string" and proxy.env(variable) or ""
  for token in value:gmatch("%S+") do
    if #token < shortest then
      error(("option 'tokens': a token of '%s' is shorter than %d characters"):format(client, shortest))
    end
    clients[#clients + 1] = { name = client, token = token }
  end
  if not value:find("%S") then
    error(("option 'tokens': the variable of '%s' is empty or not set"):format(client))
  end
end
if #clients == 0 then error("option 'tokens' names nobody") end
if opt.realm:find('[%c"\\]') then error("option 'realm' can not hold quotes") end
if not opt.client_header:find("^[%w_-]+$") then error("option 'client_header' is no header name") end

-- Looks at all of them, so that the time it takes says nothing.
local function owner_of(token)
  local owner
  for _, client in ipairs(clients) do
    if proxy.secure_equals(token, client.token) then owner = client.name end
  end
  return owner
end

-- nil: no single, well-formed bearer token.
local function token_of(headers)
  local values = headers:all("authorization")
  if #values ~= 1 then return nil end
  local scheme, token = values[1]:match("^(%a+) +(%S+)$")
  return scheme and scheme:lower() == "bearer" and token or nil
end

function on_request(request)
  local headers = request.headers
  headers[opt.client_header] = nil
  local token = token_of(headers)
  local owner = token and owner_of(token)
  if not owner then
    local challenge = ('Bearer realm="%s"'):format(opt.realm)
    if token then challenge = challenge .. ', error="invalid_token"' end
    return request:reply(401, "A valid bearer token is needed.\n", { ["www-authenticate"] = challenge })
  end
  headers[opt.client_header] = owner
  if opt.strip then headers["authorization"] = nil end
end
