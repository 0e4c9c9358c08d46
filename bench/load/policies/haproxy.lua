-- SPDX-License-Identifier: Apache-2.0
-- The bench's policy for HAProxy: six header edits and one routing decision.
local groups = { green = "group_a", blue = "group_b" }

core.register_action("on_request", { "http-req" }, function(txn)
  local http = txn.http
  local tenant = txn.f:req_fhdr("x-tenant")
  http:req_set_header("x-gateway", "bench")
  if tenant then
    http:req_set_header("x-plan", tenant)
  else
    http:req_del_header("x-plan")
  end
  http:req_del_header("x-debug")
  txn:set_var("txn.group", groups[tenant or ""] or "group_a")
end)

core.register_action("on_response", { "http-res" }, function(txn)
  local http = txn.http
  http:res_set_header("x-served-by", "bench")
  http:res_set_header("x-frame-options", "DENY")
  http:res_del_header("x-origin-node")
end)
