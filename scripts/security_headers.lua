-- SPDX-License-Identifier: Apache-2.0
-- Adds the response headers that browsers protect users by, and takes off those that tell an attacker
-- what runs behind. Headers that an origin has set itself are kept.
--
--   policies:
--     security_headers:
--       script: scripts/security_headers.lua
--       options:                            # all may be left out
--         headers:                          # more of them, other values, or false: not this one
--           content-security-policy: "default-src 'self'; frame-ancestors 'none'"
--           x-frame-options: SAMEORIGIN
--           permissions-policy: false
--         overwrite: false                  # true: replace what an origin has set
--         hsts: max-age=31536000            # sent where the client came by https; "" turns it off
--         remove: [server, x-powered-by]    # the default
--   default_policies: [security_headers]
--
-- There is no content-security-policy by default, since a right one depends on the site.

local opt = require("lib.options") {
  headers = { "map", {} },
  overwrite = { "boolean", false },
  hsts = { "string", "max-age=31536000" },
  remove = { "list", { "server", "x-powered-by" } },
}

local wanted = {
  ["x-content-type-options"] = "nosniff",
  ["x-frame-options"] = "DENY",
  ["referrer-policy"] = "strict-origin-when-cross-origin",
  ["permissions-policy"] = "camera=(), geolocation=(), microphone=()",
  ["cross-origin-opener-policy"] = "same-origin",
}

local function check(option, name, value)
  if not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    error(("option '%s': not a header name: '%s'"):format(option, name), 2)
  end
  if value ~= false and (type(value) ~= "string" or value:find("%c")) then
    error(("option '%s': %s must be one line of text, or false"):format(option, name), 2)
  end
end

for name, value in pairs(opt.headers) do
  check("headers", name, value)
  wanted[name:lower()] = value or nil
end
for _, name in ipairs(opt.remove) do check("remove", name, "") end
check("hsts", "it", opt.hsts)

local function set(headers, name, value)
  if opt.overwrite or not headers[name] then headers[name] = value end
end

function on_response(response, request)
  local headers = response.headers
  for _, name in ipairs(opt.remove) do headers[name] = nil end
  for name, value in pairs(wanted) do set(headers, name, value) end
  -- The proxy's own word, or a trusted proxy's. Over plain HTTP browsers must ignore HSTS.
  if opt.hsts ~= "" and request.headers["x-forwarded-proto"] == "https" then
    set(headers, "strict-transport-security", opt.hsts)
  end
end
