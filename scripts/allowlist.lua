-- SPDX-License-Identifier: Apache-2.0
-- Lets clients in by their IP address; everybody else gets 403.
--
--   policies:
--     office_only:
--       script: scripts/allowlist.lua
--       options:
--         allow: [10.0.0.0/8, 192.0.2.7, "2001:db8::/32"]   # an empty list lets nobody in
--         deny: [10.66.0.0/16]              # exceptions from allow; none unless given
--         status: 403                       # 404 hides that there is anything
--         message: "not from here\n"
--
-- The address is the client's, found behind the proxies that the listener trusts (trusted_proxies).

local opt = require("lib.options") {
  allow = "cidrs",
  deny = { "cidrs", {} },
  status = { "number", 403 },
  message = { "string", "Your address is not allowed here.\n" },
}
if opt.status < 400 or opt.status > 499 or opt.status % 1 ~= 0 then
  error("option 'status' must be from 400 to 499")
end

function on_request(request)
  local ip = request.client_ip
  if ip and opt.allow:contains(ip) and not opt.deny:contains(ip) then return end
  proxy.log.debug("address refused", { client_ip = ip or "unknown", path = request.path })
  request:reply(opt.status, opt.message)
end
