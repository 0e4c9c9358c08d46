// SPDX-License-Identifier: Apache-2.0
// What a Lua policy costs an exchange: one hook run from ScriptFilter::run to release, handles
// included. The policies are those that bench/load measures through the whole proxy.
#include <benchmark/benchmark.h>

#include "../../tests/unit/script/policy_rig.h"  // a rig without sockets

namespace {

using namespace tidegate;
using namespace tidegate::script;

constexpr const char* kEmpty = "function on_request(request) end";
constexpr const char* kEdits = R"lua(
local tenants = { acme = "gold", umbrella = "silver" }
function on_request(request)
  local headers = request.headers
  headers["x-plan"] = tenants[headers["x-tenant"]] or "none"
  if string.find(headers["user-agent"], "curl/", 1, true) then headers["x-tool"] = "yes" end
  headers["x-gateway"] = "tidegate"
  headers["x-forwarded-proto"] = "http"
  headers["x-debug"] = nil
  headers["accept"] = "application/json"
end)lua";
constexpr const char* kPattern = R"lua(
function on_request(request)
  if string.match(request.headers["user-agent"], "^(%a+)/(%d+)") then end
end)lua";
constexpr const char* kThree = R"lua(
function on_request(request)
  local h = request.headers
  h["x-a"] = "1" h["x-b"] = "2"
end
function select_backend(request, cluster) return nil end
function on_response(response, request)
  local h = response.headers
  h["server"] = nil h["x-c"] = "3"
end)lua";

const PolicyRig::Pairs kHeaders{{"user-agent", "curl/8.1.2"},
                                {"accept", "*/*"},
                                {"x-tenant", "acme"},
                                {"x-debug", "1"},
                                {"accept-encoding", "gzip, br"},
                                {"cookie", "session=0123456789"}};

// One exchange serves for a thousand runs: its own cost is not measured here.
void run_hook(benchmark::State& state, const char* text) {
  PolicyRig rig;
  rig.policy("p", text);
  if (!rig.load().empty()) return state.SkipWithError("the script does not load");
  proxy::Filter* filter = rig.worker.find_filter("p");
  proxy::Exchange* exchange = nullptr;
  uint64_t runs = 0;
  for (auto _ : state) {
    if (runs++ % 1000 == 0) {
      state.PauseTiming();
      if (exchange != nullptr) exchange->abandon();
      exchange = &rig.begin(rig.client(), "/users/17?full=1", kHeaders);
      state.ResumeTiming();
    }
    proxy::FilterCall call{exchange, filter, nullptr};
    benchmark::DoNotOptimize(filter->run(proxy::Hook::Request, call));
    filter->release(call);
  }
  state.SetItemsProcessed(state.iterations());
}

void empty_hook(benchmark::State& state) {
  run_hook(state, kEmpty);
}
void six_edits_lookup_match(benchmark::State& state) {
  run_hook(state, kEdits);
}
void pattern_match(benchmark::State& state) {
  run_hook(state, kPattern);
}
void with_other_hooks(benchmark::State& state) {
  run_hook(state, kThree);
}

BENCHMARK(empty_hook);
BENCHMARK(six_edits_lookup_match);
BENCHMARK(pattern_match);
BENCHMARK(with_other_hooks);

}  // namespace
