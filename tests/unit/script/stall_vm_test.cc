// SPDX-License-Identifier: Apache-2.0
// How long a VM with much in it holds a worker up: its collector works beside the requests.
#include <doctest/doctest.h>

#include "unit/script/stall_meter.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

using std::chrono::milliseconds;

constexpr size_t kMiB = 1024 * 1024;
constexpr size_t kLargeVm = 64 * kMiB;
constexpr int kRequests = 30;
constexpr int kRounds = 4;  // in which the collector goes through all of the VM at least once

// What scripts/README.md states, "Budgets".
Duration bound_of(size_t memory) {
  const auto more = std::max(memory, 16 * kMiB) - 16 * kMiB;
  return kSliced + milliseconds(1) * kSlower * static_cast<int>(more / (6 * kMiB));
}

struct Live {
  const char* what;
  const char* fill;  // puts things into the global `live` until `full()`
};

const Live kLive[] = {
    {"tables of tables",
     "for i = 1, 1e6 do local t = {} for j = 1, 256 do t[j] = {j, i} end live[i] = t "
     "if full() then break end end"},
    {"texts", "for i = 1, 1e7 do live[i] = ('x'):rep(90) .. i if full() then break end end"},
    {"one list", "for i = 1, 1e7 do live[i] = {} if full() then break end end"},
    {"one set", "for i = 1, 1e7 do live['k' .. i] = true if full() then break end end"},
    {"functions",
     "for i = 1, 1e7 do live[i] = function() return i end if full() then break end end"},
};

// Each request makes garbage, and changes what is live, which the collector then has to see again.
constexpr const char* kScript = R"(
  live = {}
  local function full() return collectgarbage('count') > 54 * 1024 end
  %s
  function on_request(r)
    local t
    for i = 1, 1000 do t = {i, {}, 'x' .. i} end
    live[1] = t
    r:reply(200, tostring(collectgarbage('count') > 50 * 1024))
  end
)";

}  // namespace

TEST_CASE("L28: a VM of 64 MiB with 54 MiB live holds a worker up no longer than it states") {
  for (const Live& live : kLive) {
    CAPTURE(std::string(live.what));
    PolicyRig rig;
    std::string text = kScript;
    text.replace(text.find("%s"), 2, live.fill);
    rig.policy("p", text).budget.memory = kLargeVm;
    REQUIRE(rig.load().empty());
    const Duration took = shortest(bound_of(kLargeVm), [&rig] {
      Duration longest{};
      for (int round = 0; round < kRounds; ++round) {
        std::vector<RecordingClient*> clients;
        for (int n = 0; n < kRequests; ++n) clients.push_back(&rig.client());
        longest = std::max(longest, longest_turn(rig, [&rig, &clients] {
                             for (RecordingClient* client : clients) {
                               rig.begin(*client, "/").on_request_head(true);
                             }
                           }));
        for (const RecordingClient* client : clients) CHECK(client->answer.body == "true");
      }
      return longest;
    });
    CHECK(ms(took) <= ms(bound_of(kLargeVm)));
    CHECK(rig.worker.vm_count() == 1);
  }
}
