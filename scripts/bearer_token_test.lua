-- SPDX-License-Identifier: Apache-2.0
-- Cases for bearer_token.lua; scripts/README.md says how they are read.
local options = { tokens = { ci = "CI_TOKEN", grafana = "GRAFANA_TOKEN" } }
local env = { CI_TOKEN = "ci-token-0123456789", GRAFANA_TOKEN = "old-token-0123456789 new-token-0123456789" }

local function bearer(token)
  return { authorization = "Bearer " .. token, ["x-client"] = "root" }
end

return {
  {
    name = "a known token passes; the origin learns whose it was, and not the token",
    options = options,
    env = env,
    request = { headers = bearer("ci-token-0123456789") },
    response = { status = 200 },
    origin = { headers = { ["x-client"] = "ci", authorization = false } },
  },
  {
    name = "of several tokens in one variable each is good",
    options = options,
    env = env,
    request = { headers = bearer("new-token-0123456789") },
    response = { status = 200 },
    origin = { headers = { ["x-client"] = "grafana" } },
  },
  {
    name = "the scheme's case does not matter",
    options = options,
    env = env,
    request = { headers = { authorization = "bearer old-token-0123456789" } },
    response = { status = 200 },
  },
  {
    name = "no token: 401 that says what is needed",
    options = { tokens = options.tokens, realm = "orders" },
    env = env,
    response = { status = 401, headers = { ["www-authenticate"] = 'Bearer realm="orders"' } },
    origin = false,
  },
  {
    name = "a wrong token: 401 that says it is wrong",
    options = options,
    env = env,
    request = { headers = bearer("ci-token-012345678X") },
    response = { status = 401, headers = { ["www-authenticate"] = 'Bearer realm="api", error="invalid_token"' } },
    origin = false,
  },
  {
    name = "the beginning of a token is not enough",
    options = options,
    env = env,
    request = { headers = bearer("ci-token-012345678") },
    response = { status = 401 },
    origin = false,
  },
  {
    name = "two tokens are none",
    options = options,
    env = env,
    request = { headers = { authorization = { "Bearer ci-token-0123456789", "Bearer x" } } },
    response = { status = 401 },
    origin = false,
  },
  {
    name = "another scheme is no token",
    options = options,
    env = env,
    request = { headers = { authorization = "Basic ci-token-0123456789" } },
    response = { status = 401 },
    origin = false,
  },
  {
    name = "the header can be kept, and the client's name go elsewhere",
    options = { tokens = options.tokens, strip = false, client_header = "x-caller" },
    env = env,
    request = { headers = bearer("ci-token-0123456789") },
    response = { status = 200 },
    origin = { headers = { ["x-caller"] = "ci", authorization = "Bearer ci-token-0123456789" } },
  },
  {
    name = "a variable that is not set is refused",
    options = options,
    env = { CI_TOKEN = "ci-token-0123456789", GRAFANA_TOKEN = "" },
    refused = "option 'tokens': the variable of 'grafana' is empty or not set",
  },
  {
    name = "a short token is refused",
    options = options,
    env = { CI_TOKEN = "ci-token-0123456789", GRAFANA_TOKEN = "short" },
    refused = "option 'tokens': a token of 'grafana' is shorter than 16 characters",
  },
  {
    name = "a variable that the policy may not read is refused",
    options = { tokens = { ci = "OTHER" } },
    env = env,
    refused = "the environment variable OTHER is not in the policy's env",
  },
  {
    name = "an empty table of tokens is refused",
    options = { tokens = {} },
    refused = "option 'tokens' names nobody",
  },
}
