// SPDX-License-Identifier: Apache-2.0
#include "net/descriptors.h"

#include <doctest/doctest.h>

#include <limits>

using namespace tidegate::net;

TEST_CASE("O11: the last descriptors are reserved, more of a large limit and few of a small one") {
  struct Case {
    int limit, connections, may_wait;
  };
  for (const auto& [limit, connections, may_wait] :
       {Case{16, 14, 15}, Case{64, 56, 60}, Case{96, 88, 92}, Case{1024, 960, 992},
        Case{1'000'000, 999'936, 999'968}}) {
    CAPTURE(limit);
    descriptors::reserve(limit);
    CHECK(descriptors::most_connections() == connections);
    CHECK(!descriptors::is_reserved(connections - 1));
    CHECK(descriptors::is_reserved(connections));
    CHECK(!descriptors::is_last(may_wait - 1));
    CHECK(descriptors::is_last(may_wait));
  }
  descriptors::reserve(std::numeric_limits<int>::max());
}
