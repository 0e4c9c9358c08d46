// SPDX-License-Identifier: Apache-2.0
// What the configuration's checks take for headers that no route sees, and what the proxy removes.
#include "config/unmatchable.h"

#include <doctest/doctest.h>

#include "http/hop_by_hop.h"
#include "http/message.h"

using namespace tidegate;

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
       {"x-a", "accept", "x-forwarded-proto", "x-request-id", "cookie"}) {
    CAPTURE(name);
    CHECK(config::why_never_there(name, listeners).empty());
  }
}
