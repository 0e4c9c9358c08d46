-- SPDX-License-Identifier: Apache-2.0
-- Cases for header_rewrite.lua; scripts/README.md says how they are read.
return {
  {
    name = "request headers are removed, set, added and defaulted",
    options = {
      request = {
        remove = { "x-debug" },
        set = { ["x-environment"] = "production", ["x-level"] = 3 },
        add = { ["x-tag"] = "edge" },
        default = { ["accept-language"] = "en", ["x-kept"] = "unused" },
      },
    },
    request = {
      headers = { ["x-debug"] = "1", ["x-environment"] = "mine", ["x-tag"] = "client", ["x-kept"] = "own" },
    },
    origin = {
      headers = {
        ["x-debug"] = false,
        ["x-environment"] = "production",
        ["x-level"] = "3",
        ["x-tag"] = { "client", "edge" },
        ["accept-language"] = "en",
        ["x-kept"] = "own",
      },
    },
  },
  {
    name = "placeholders stand for the request's own",
    options = {
      request = { set = { ["x-seen"] = "{method} {scheme}://{host}{path} from {client_ip}" } },
    },
    request = { method = "DELETE", path = "/users/7?really=yes", host = "api.example", client_ip = "192.0.2.9" },
    origin = { headers = { ["x-seen"] = "DELETE http://api.example/users/7 from 192.0.2.9" } },
  },
  {
    name = "what a client puts into a placeholder is not expanded again",
    options = { request = { set = { ["x-path"] = "{path}" } } },
    request = { path = "/%7Bhost%7D" },
    origin = { headers = { ["x-path"] = "/%7Bhost%7D" } },
  },
  {
    name = "response headers are edited on their way back",
    options = { response = { remove = { "server" }, set = { ["x-method"] = "{method}" } } },
    reply = { headers = { server = "secret/1.2", ["x-method"] = "origin" } },
    response = { status = 200, headers = { server = false, ["x-method"] = "GET" } },
  },
  {
    name = "headers that frame the message are refused",
    options = { request = { set = { ["Content-Length"] = "3" } } },
    refused = "option 'request.set': the header Content-Length belongs to the proxy",
  },
  {
    name = "an unknown placeholder is refused",
    options = { request = { set = { ["x-a"] = "{clientip}" } } },
    refused = "option 'request.set': there is no {clientip}",
  },
  {
    name = "an unknown action is refused",
    options = { response = { delete = { "server" } } },
    refused = "option 'response.delete': there are: remove, set, add, default",
  },
  {
    name = "a value that would break the message is refused",
    options = { request = { set = { ["x-a"] = "b\r\nx-evil: 1" } } },
    refused = "option 'request.set': control characters",
  },
  {
    name = "a name that is none is refused",
    options = { request = { remove = { "x a" } } },
    refused = "option 'request.remove': not a header name: 'x a'",
  },
}
