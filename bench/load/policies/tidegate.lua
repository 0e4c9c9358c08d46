-- SPDX-License-Identifier: Apache-2.0
-- The bench's policy for Tidegate: six header edits and one routing decision.
local groups = { green = "group_a", blue = "group_b" }

function on_request(request)
  local headers = request.headers
  local tenant = headers["x-tenant"]
  headers["x-gateway"] = "bench"
  headers["x-plan"] = tenant
  headers["x-debug"] = nil
  request.cluster = groups[tenant] or "group_a"
end

function on_response(response)
  local headers = response.headers
  headers["x-served-by"] = "bench"
  headers["x-frame-options"] = "DENY"
  headers["x-origin-node"] = nil
end
