// SPDX-License-Identifier: Apache-2.0
// What the configuration's checks take for headers that no route sees, and what the proxy removes.
#include "config/unmatchable.h"

#include <doctest/doctest.h>

#include <array>
#include <initializer_list>
#include <utility>

#include "http/hop_by_hop.h"
#include "http/message.h"

using namespace tidegate;

namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("C8: what the checks refuse to match is what the proxy removes") {
  const config::Listener listener;
  const config::Listener* const listeners[] = {&listener};
  for (const std::string_view name : config::hop_by_hop_headers()) {
    CAPTURE(name);
    CHECK_FALSE(config::why_never_there(name, listeners).empty());
    ArenaBlocks blocks;
    Arena arena(blocks);
    http::RequestHead head(arena);
    head.headers.add(name, name == "connection" ? "close" : "x");
    CHECK(http::strip_hop_by_hop(head));
    CHECK_FALSE(head.headers.has(http::header_id(name)));
  }
  for (const std::string_view name :
       {"x-a", "accept", "x-forwarded-for", "x-forwarded-proto", "x-request-id", "cookie"}) {
    CAPTURE(name);
    CHECK(config::why_never_there(name, listeners).empty());
  }
}

TEST_CASE("C8: a name with '_' can match where a listener keeps it, and a claim where one trusts") {
  config::Listener drops;
  config::Listener keeps;
  keeps.underscores_in_headers = true;
  config::Listener trusts = keeps;
  trusts.trust_unix = true;
  const auto matches = [](std::string_view name,
                          std::initializer_list<const config::Listener*> on) {
    return config::why_never_there(name, {on.begin(), on.size()}).empty();
  };
  for (const std::string_view name : {"x_a", "x_", "content_type"}) {
    CAPTURE(name);
    CHECK_FALSE(matches(name, {&drops}));
    CHECK(matches(name, {&keeps}));
    CHECK(matches(name, {&drops, &keeps}));
  }
  for (const std::string_view name : {"x_forwarded_for", "x-forwarded_for", "x_real_ip"}) {
    CAPTURE(name);
    CHECK_FALSE(matches(name, {&drops}));
    CHECK_FALSE(matches(name, {&keeps}));
    CHECK(matches(name, {&drops, &trusts}));
  }
  CHECK(contains(config::why_never_there("x_a", std::array{&std::as_const(drops)}),
                 "underscores_in_headers"));
  CHECK(contains(config::why_never_there("x_forwarded_for", std::array{&std::as_const(keeps)}),
                 "trusted_proxies"));
}
