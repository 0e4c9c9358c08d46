// SPDX-License-Identifier: Apache-2.0
// Handles: whose they are, where they work, and what is none.
#include <doctest/doctest.h>

#include "unit/script/asked.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

size_t count(std::string_view text, std::string_view part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; ++at) ++found;
  return found;
}

constexpr std::string_view kForeign = "used outside its exchange";

// A rig with a cluster, so that there are full handles.
struct ClusterRig : PolicyRig {
  ClusterRig() {
    config.routes[0].respond.reset();
    config.routes[0].cluster = "app";
    config.clusters.emplace_back();
    config.clusters[0].name = "app";
    config::Endpoint endpoint;
    endpoint.url = "http://127.0.0.1:1";
    endpoint.address.host = "127.0.0.1";
    endpoint.address.port = 1;
    config.clusters[0].endpoints.push_back(endpoint);
    config.limits.push_back(limit("sign"));
  }
  static config::Limit limit(std::string name) {
    config::Limit limit;
    limit.name = std::move(name);
    limit.rate = {10, std::chrono::seconds(1)};
    limit.key = config::LimitKey::Script;
    return limit;
  }
};

// Bytes that were once taken for a cluster's handle: a magic number and addresses.
constexpr const char* kForged =
    R"("ndit".."\7\0\0\0".."\1\0\0\0\0\0\0\0".."AAAAAA\0\0".."BBBBBB\0\0".."CCCCCC\0\0")";

}  // namespace

TEST_CASE("L2: a userdata that looks like a handle is none") {
  ClusterRig rig;
  const std::string forged = std::string(kForged);
  rig.config.limits[0].name = std::string("ndit\7\0\0\0\1\0\0\0\0\0\0\0", 16) +
                              std::string("AAAAAA\0\0BBBBBB\0\0CCCCCC\0\0", 24);
  rig.policy("p", "local forged = proxy.limit(" + forged + R"()
    local list = proxy.ip.cidr { "::1", "10.0.0.0/8" }
    local function try(f, ...) local ok, why = pcall(f, ...) return tostring(ok) .. ":" .. tostring(why) end
    function on_request(r)
      local cluster = proxy.cluster("app")
      local endpoint, breaker = cluster.endpoints[1], cluster.endpoints[1].breaker
      local out = {}
      for _, self in ipairs { forged, list, breaker, proxy.json.null, r, r.headers } do
        out[#out + 1] = try(cluster.pick, self)
        out[#out + 1] = try(cluster.set_endpoints, self, { "http://127.0.0.1:2" })
        out[#out + 1] = try(cluster.health_check, self)
      end
      for _, self in ipairs { forged, list, cluster, endpoint, r } do
        out[#out + 1] = try(breaker.reset, self)
      end
      for _, self in ipairs { forged, cluster, endpoint, r } do
        out[#out + 1] = try(list.contains, self, "::1")
      end
      for _, self in ipairs { list, cluster, endpoint, breaker, r } do
        out[#out + 1] = try(forged.take, self, "k")
      end
      out[#out + 1] = "false:expected" .. tostring(endpoint == forged) .. tostring(forged == list)
      r:reply(200, table.concat(out, "\n"))
    end)");
  REQUIRE(rig.load().empty());
  const std::string body = rig.get().body;
  CAPTURE(body);
  CHECK(count(body, "false:") == 33);
  CHECK(count(body, "expected") == 33);
  CHECK(contains(body, "expectedfalsefalse"));
}

TEST_CASE("L2: a limit that the config has not is refused at load, wherever the top level asks") {
  for (const char* code : {"local f = proxy.limit('sing')", "local f = proxy.limit(' sign')",
                           "local f = (function() return proxy.limit('') end)()",
                           "local f = proxy.limit('sign\\0')"}) {
    CAPTURE(code);
    ClusterRig rig;
    rig.policy("p", std::string(code) + " function on_request(r) end");
    const std::vector<std::string> errors = rig.load();
    REQUIRE(errors.size() == 1);
    CHECK(contains(errors[0], "p.lua:1: no limit of the config is named '"));
  }
}

TEST_CASE("L2: a config that drops a limit is refused while a script asks for it at its top") {
  ClusterRig rig;
  rig.policy("p", "local f = proxy.limit('sign') function on_request(r) r:reply(200, 'on') end");
  REQUIRE(rig.load().empty());
  rig.config.limits.push_back(ClusterRig::limit("other"));
  CHECK(rig.load().empty());
  rig.config.limits.erase(rig.config.limits.begin());
  CHECK(rig.load().size() == 1);
  CHECK(rig.get().body == "on");
}

TEST_CASE("L3: a handle in a global is not the next client's") {
  PolicyRig rig;
  LogLines lines;
  rig.policy("p", R"(
    function on_request(request)
      req = request
      proxy.sleep(0)
      req:reply(200, "seen " .. req.headers["x-secret"])
    end)");
  REQUIRE(rig.load().empty());
  RecordingClient& first = rig.client();
  RecordingClient& second = rig.client();
  rig.begin(first, "/", {{"x-secret", "one"}}).on_request_head(true);
  rig.begin(second, "/", {{"x-secret", "two"}}).on_request_head(true);
  for (int i = 0; i < 5; ++i) rig.sweep();
  CHECK(first.answer.status == 500);
  CHECK_FALSE(contains(first.answer.body, "two"));
  CHECK(second.answer.body == "seen two");
  CHECK(contains(lines.text, kForeign));
}

TEST_CASE("L3: every use of a foreign handle raises, of an exchange that waits or has ended") {
  for (const bool waits : {true, false}) {
    CAPTURE(waits);
    ClusterRig rig;
    rig.policy("p", R"(
    local kept
    local function try(f) return tostring(select(2, pcall(f))) end
    function on_request(request)
      if not kept then
        local cluster = proxy.cluster("app")
        kept = {request = request, headers = request.headers, vars = request.vars,
                trailers = request.trailers, cluster = cluster, endpoint = cluster.endpoints[1],
                breaker = cluster.endpoints[1].breaker, tried = request.tried}
        kept.each, kept.state = request.headers:each()
        kept.co = coroutine.wrap(function() coroutine.yield() return request.path end)
        kept.co()
        kept.closure = function() return request.path end
        if request.path == "/waits" then proxy.sleep(1000) end
        return request:reply(200, "kept")
      end
      local uses = {
        function() return kept.request.path end,
        function() kept.request.path = "/x" end,
        function() return kept.request:body() end,
        function() kept.request:set_body("x") end,
        function() kept.request:reply(200) end,
        function() kept.request:redirect("/") end,
        function() return kept.headers.host end,
        function() kept.headers.x = "y" end,
        function() kept.headers.x = nil end,
        function() kept.headers:add("x", "y") end,
        function() kept.headers:count() end,
        function() kept.headers:all("x") end,
        function() return kept.each(kept.headers) end,
        function() return kept.each(kept.state) end,
        function() return kept.trailers.x end,
        function() return kept.vars.x end,
        function() kept.vars.x = 1 end,
        function() return kept.cluster.name end,
        function() return kept.cluster:pick() end,
        function() return kept.cluster:set_endpoints { "http://127.0.0.1:2" } end,
        function() return kept.cluster:health_check() end,
        function() return kept.endpoint.address end,
        function() return kept.endpoint.breaker end,
        function() return kept.breaker.state end,
        function() return kept.breaker:reset() end,
        kept.co,
        kept.closure,
      }
      local out = { "uses " .. #uses }
      for _, use in ipairs(uses) do out[#out + 1] = try(use) end
      request:reply(200, table.concat(out, "\n"))
    end)");
    REQUIRE(rig.load().empty());
    RecordingClient& first = rig.client();
    rig.begin(first, waits ? "/waits" : "/").on_request_head(true);
    CHECK(first.answer.ended == !waits);
    const std::string body = rig.get().body;
    CAPTURE(body);
    CHECK(contains(body, "uses 27\n"));
    CHECK(count(body, kForeign) == 27);
    CHECK(count(body, "request used") == 8);
    CHECK(count(body, "headers used") == 8);
  }
}

TEST_CASE("L3: a handle works in every hook run of its own exchange") {
  PolicyRig rig;
  LogLines lines;
  rig.policy("p", R"(
    local kept = {}
    function on_request(request) kept[request.id] = request end
    function on_response(response, request)
      response.headers["x-seen"] = kept[request.id].path
      kept[request.id .. "r"] = response
    end
    function on_log(request)
      proxy.log.info("seen " .. kept[request.id].path .. kept[request.id .. "r"].status)
    end)");
  REQUIRE(rig.load().empty());
  CHECK(rig.get("/one").headers.at("x-seen") == "/one");
  CHECK(rig.get("/two").headers.at("x-seen") == "/two");
  CHECK(contains(lines.text, "seen /one200"));
  CHECK(contains(lines.text, "seen /two200"));
}

TEST_CASE("L3: a handle outlives the wait that its client broke off, in its own on_log") {
  PolicyRig rig;
  LogLines lines;
  rig.policy("p", R"(
    function on_request(request) kept = request proxy.sleep(1000) end
    function on_log(request) proxy.log.info("seen " .. kept.path) end)");
  REQUIRE(rig.load().empty());
  proxy::Exchange& exchange = rig.begin(rig.client(), "/left");
  exchange.on_request_head(true);
  exchange.on_client_gone();
  CHECK(contains(lines.text, "seen /left"));
}

TEST_CASE("L4: a body or reply for another exchange is refused, and leaves nothing behind") {
  for (const char* use : {"kept:set_body('x')", "kept:reply(403)", "kept:redirect('/x')",
                          "kept.path = '/y'", "kept.headers.x = 'y'"}) {
    CAPTURE(use);
    PolicyRig rig;
    LogLines lines;
    rig.policy("p", std::string(R"(
      function on_request(request)
        if request.path == "/a" then
          kept = request
          proxy.sleep(0)
          return request:reply(200, "a")
        end
        )") + use + R"(
      end
      function on_log(request) proxy.log.info("logged " .. request.path) end)");
    REQUIRE(rig.load().empty());
    RecordingClient& a = rig.client();
    rig.begin(a, "/a").on_request_head(true);
    CHECK(contains(rig.get("/b").body, "script_error"));
    for (int i = 0; i < 5; ++i) rig.sweep();
    CHECK(a.answer.status == 200);
    CHECK(a.answer.body == "a");
    CHECK(contains(lines.text, "logged /a"));
    CHECK(contains(lines.text, "logged /b"));
  }
}

TEST_CASE("L4: a body that an abandoned run has set is not another run's") {
  PolicyRig rig;
  LogLines lines;
  rig.policy("p", R"(
    function on_request(request) request:set_body("x") proxy.sleep(1000) end
    function on_log(request) proxy.log.info("logged") end)");
  REQUIRE(rig.load().empty());
  proxy::Exchange& exchange = rig.begin(rig.client(), "/");
  exchange.on_request_head(true);
  exchange.on_client_gone();
  CHECK(contains(lines.text, "logged"));
}
