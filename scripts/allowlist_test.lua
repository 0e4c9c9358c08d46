-- SPDX-License-Identifier: Apache-2.0
-- Cases for allowlist.lua; scripts/README.md says how they are read.
local options = { allow = { "10.0.0.0/8", "192.0.2.7", "2001:db8::/32" }, deny = { "10.66.0.0/16" } }

return {
  {
    name = "an address in an allowed block passes",
    options = options,
    request = { client_ip = "10.1.2.3" },
    response = { status = 200 },
  },
  {
    name = "a single allowed address passes",
    options = options,
    request = { client_ip = "192.0.2.7" },
    response = { status = 200 },
  },
  {
    name = "an allowed IPv6 address passes",
    options = options,
    request = { client_ip = "2001:db8::1" },
    response = { status = 200 },
  },
  {
    name = "any other address is refused, and the origin never asked",
    options = options,
    request = { client_ip = "192.0.2.8" },
    response = { status = 403, body = "Your address is not allowed here.\n" },
    origin = false,
  },
  {
    name = "deny takes addresses out of allowed blocks",
    options = options,
    request = { client_ip = "10.66.0.1" },
    response = { status = 403 },
    origin = false,
  },
  {
    name = "an empty list lets nobody in",
    options = { allow = {} },
    request = { client_ip = "127.0.0.1" },
    response = { status = 403 },
    origin = false,
  },
  {
    name = "status and message can be chosen",
    options = { allow = { "192.0.2.7" }, status = 404, message = "nothing here\n" },
    request = { client_ip = "192.0.2.8" },
    response = { status = 404, body = "nothing here\n" },
    origin = false,
  },
  {
    name = "a list that is missing is refused",
    refused = "option 'allow' is missing",
  },
  {
    name = "an option that does not exist is refused",
    options = { alow = { "10.0.0.0/8" } },
    refused = "there is no option 'alow'",
  },
  {
    name = "what is no block is refused",
    options = { allow = { "10.0.0.0/8", "10.0.0.300" } },
    refused = "option 'allow': not an address or block: '10.0.0.300'",
  },
  {
    name = "a status that would let clients in is refused",
    options = { allow = { "10.0.0.0/8" }, status = 200 },
    refused = "option 'status' must be from 400 to 499",
  },
}
