-- SPDX-License-Identifier: Apache-2.0
-- The bench's policy for nginx's Lua module: six header edits and one routing decision.
local set_header, clear_header = ngx.req.set_header, ngx.req.clear_header
local groups = { green = "group_a", blue = "group_b" }

local policy = {}

function policy.on_request()
  local var = ngx.var
  local tenant = var.http_x_tenant
  set_header("X-Gateway", "bench")
  set_header("X-Plan", tenant)
  clear_header("X-Debug")
  var.group = groups[tenant] or "group_a"
end

function policy.on_response()
  local header = ngx.header
  header["X-Served-By"] = "bench"
  header["X-Frame-Options"] = "DENY"
  header["X-Origin-Node"] = nil
end

return policy
