-- SPDX-License-Identifier: Apache-2.0
-- Edit this file while Tidegate runs: the next request sees it. Break it, and what was loaded before
-- goes on serving, while the log says what is wrong and where.

function on_request(request)
  if request.path == "/teapot" then
    return request:reply(418, "I am a proxy.\n")
  end
  local headers = request.headers
  headers["x-plan"] = options.plans[headers["x-tenant"]] or "free"  -- the origin sees it
  headers["user-agent"] = nil                                       -- and not this
end

function on_response(response, request)
  response.headers["x-plan"] = request.headers["x-plan"]
  response.headers["x-answered-in"] = ("%.1f ms"):format(response.duration * 1000)
end
