-- SPDX-License-Identifier: Apache-2.0
-- Cases for security_headers.lua; scripts/README.md says how they are read.
return {
  {
    name = "responses get the headers and lose what gives the origin away",
    reply = { headers = { server = "secret/1.2", ["x-powered-by"] = "magic" } },
    response = {
      status = 200,
      headers = {
        ["x-content-type-options"] = "nosniff",
        ["x-frame-options"] = "DENY",
        ["referrer-policy"] = "strict-origin-when-cross-origin",
        ["permissions-policy"] = "camera=(), geolocation=(), microphone=()",
        ["cross-origin-opener-policy"] = "same-origin",
        ["strict-transport-security"] = false,
        server = false,
        ["x-powered-by"] = false,
      },
    },
  },
  {
    name = "what an origin has set itself is kept",
    reply = { headers = { ["x-frame-options"] = "SAMEORIGIN" } },
    response = { headers = { ["x-frame-options"] = "SAMEORIGIN" } },
  },
  {
    name = "unless overwrite says otherwise",
    options = { overwrite = true },
    reply = { headers = { ["x-frame-options"] = { "SAMEORIGIN", "ALLOWALL" } } },
    response = { headers = { ["x-frame-options"] = "DENY" } },
  },
  {
    name = "headers can be added, changed and left out",
    options = {
      headers = {
        ["content-security-policy"] = "default-src 'self'",
        ["X-Frame-Options"] = "SAMEORIGIN",
        ["permissions-policy"] = false,
      },
      remove = {},
    },
    reply = { headers = { server = "public/1.0" } },
    response = {
      headers = {
        ["content-security-policy"] = "default-src 'self'",
        ["x-frame-options"] = "SAMEORIGIN",
        ["permissions-policy"] = false,
        server = "public/1.0",
      },
    },
  },
  {
    name = "clients that came by https to a trusted proxy get HSTS",
    request = { headers = { ["x-forwarded-proto"] = "https" } },
    response = { headers = { ["strict-transport-security"] = "max-age=31536000" } },
  },
  {
    name = "HSTS can be turned off",
    options = { hsts = "" },
    request = { headers = { ["x-forwarded-proto"] = "https" } },
    response = { headers = { ["strict-transport-security"] = false } },
  },
  {
    name = "a value of more than one line is refused",
    options = { headers = { ["x-a"] = "b\r\nx-evil: 1" } },
    refused = "option 'headers': x-a must be one line of text, or false",
  },
  {
    name = "a name that is none is refused",
    options = { headers = { ["x a"] = "b" } },
    refused = "option 'headers': not a header name: 'x a'",
  },
  {
    name = "an option of the wrong type is refused",
    options = { overwrite = "yes" },
    refused = "option 'overwrite' must be true or false",
  },
}
