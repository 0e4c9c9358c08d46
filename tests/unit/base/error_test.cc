// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <doctest/doctest.h>

#include <set>

namespace tidegate {

TEST_CASE("every error has its own token, a title, a side and a status that fits the side") {
  std::set<std::string_view> tokens;
  for (unsigned i = 1; i < static_cast<unsigned>(ErrorCode::Count_); ++i) {
    const ErrorInfo& info = describe(static_cast<ErrorCode>(i));
    CAPTURE(info.token);
    CHECK_FALSE(info.token.empty());
    CHECK(tokens.insert(info.token).second);
    CHECK_FALSE(info.title.empty());
    CHECK(info.side != Side::None);
    CHECK(info.status >= 400);
    if (info.side == Side::Origin || info.side == Side::Script) CHECK(info.status >= 500);
    // What a client did wrong, another attempt can not put right.
    if (info.side == Side::Client) CHECK_FALSE(info.retryable);
  }
}

TEST_CASE("errors stand beside their rows") {
  CHECK(describe(ErrorCode::None).token == "none");
  CHECK(describe(ErrorCode::BadRequest).token == "bad_request");
  CHECK(describe(ErrorCode::NoRoute).status == 404);
  CHECK(describe(ErrorCode::ConnectTimeout).token == "connect_timeout");
  CHECK(describe(ErrorCode::ConnectTimeout).status == 504);
  CHECK(describe(ErrorCode::ScriptTime).token == "script_time");
  CHECK(to_string(Side::Origin) == "origin");
  CHECK(to_string(Side::Script) == "script");
}

}  // namespace tidegate
