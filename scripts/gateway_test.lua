-- SPDX-License-Identifier: Apache-2.0
-- Cases for gateway.lua; scripts/README.md says how they are read.
local options = {
  services = {
    ["/api/users"] = "users",
    ["/api/users/avatars"] = { cluster = "avatars", strip = true },
    ["/pay/"] = { cluster = "payments", strip = true, host = "payments.internal" },
  },
}

return {
  {
    name = "the prefix chooses the cluster, and the path stays",
    options = options,
    request = { path = "/api/users/7?full=1" },
    origin = { name = "users", path = "/api/users/7?full=1", host = "test.example" },
  },
  {
    name = "the longest prefix wins, and strip takes it off",
    options = options,
    request = { path = "/api/users/avatars/7.png" },
    origin = { name = "avatars", path = "/7.png", headers = { ["x-forwarded-prefix"] = "/api/users/avatars" } },
  },
  {
    name = "what is left of nothing is the root",
    options = options,
    request = { path = "/pay?x=1" },
    origin = { name = "payments", path = "/?x=1" },
  },
  {
    name = "a service can have a host of its own",
    options = options,
    request = { path = "/pay/9" },
    origin = { name = "payments", path = "/9", host = "payments.internal" },
  },
  {
    name = "prefixes end where segments end",
    options = options,
    request = { path = "/payments" },
    response = { status = 404, body = "There is no such service.\n" },
    origin = false,
  },
  {
    name = "dots do not lead around a prefix",
    options = options,
    request = { path = "/api/users/../../pay/9" },
    origin = { name = "payments", path = "/9" },
  },
  {
    name = "all else can go to the route's own cluster",
    options = { services = options.services, otherwise = "pass" },
    request = { path = "/else" },
    origin = { name = "default", path = "/else" },
  },
  {
    name = "the prefix / takes all that no other takes",
    options = { services = { ["/"] = "users", ["/pay"] = "payments" } },
    request = { path = "/anything" },
    origin = { name = "users", path = "/anything" },
  },
  {
    name = "a cluster that does not exist fails the request, closed",
    options = { services = { ["/api"] = "nowhere" } },
    request = { path = "/api" },
    response = { status = 500 },
    origin = false,
  },
  {
    name = "a prefix without a slash is refused",
    options = { services = { api = "users" } },
    refused = "option 'services': 'api' is not a plain path prefix",
  },
  {
    name = "a service without a cluster is refused",
    options = { services = { ["/api"] = { strip = true } } },
    refused = "option 'services': '/api' needs a cluster",
  },
  {
    name = "an unknown key is refused",
    options = { services = { ["/api"] = { cluster = "users", strp = true } } },
    refused = "option 'services': '/api' has no key 'strp'",
  },
  {
    name = "a prefix that is there twice is refused",
    options = { services = { ["/api"] = "users", ["/api/"] = "payments" } },
    refused = "option 'services': '/api' is there twice",
  },
  {
    name = "an unknown word for otherwise is refused",
    options = { services = options.services, otherwise = "maybe" },
    refused = "option 'otherwise' must be not_found or pass",
  },
}
