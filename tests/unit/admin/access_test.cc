// SPDX-License-Identifier: Apache-2.0
#include "admin/access.h"

#include <doctest/doctest.h>

using namespace tidegate;
using namespace tidegate::admin;

namespace {

config::Admin at(const char* host, const char* token = "") {
  return {config::Address{host, 9090, false}, token};
}

Access change(const config::Admin& admin, std::string_view host, std::string_view origin = {},
              std::string_view fetch_site = {}) {
  Request request;
  request.host = host;
  request.origin = origin;
  request.fetch_site = fetch_site;
  return may_change(request, admin);
}

Access change_with(std::string_view authorization) {
  Request request;
  request.authorization = authorization;
  request.host = "evil.example:9090";
  request.origin = "http://evil.example:9090";
  return may_change(request, at("127.0.0.1", "s3cret"));
}

Access read(const config::Admin& admin, std::string_view host) {
  Request request;
  request.host = host;
  return may_read(request, admin);
}

}  // namespace

TEST_CASE("with a token set, only the token counts") {
  CHECK(change_with("Bearer s3cret") == Access::Granted);
  CHECK(change_with("bearer s3cret") == Access::Granted);
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2",
                            "Bearer s3creT", "Basic s3cret", "s3cret", "Bearer s3crets3cret"}) {
    CHECK_MESSAGE(change_with(wrong) == Access::TokenNeeded, wrong);
  }
}

TEST_CASE("without a token, names that only this machine's owner controls are trusted") {
  const auto admin = at("127.0.0.1");
  for (const char* own : {"127.0.0.1:9090", "127.0.0.1", "localhost:9090", "LocalHost",
                          "[::1]:9090", "10.0.0.7:9090", ""}) {
    CHECK_MESSAGE(change(admin, own) == Access::Granted, own);
  }
  for (const char* foreign : {"evil.example:9090", "localhost.evil.example",
                              "127.0.0.1.evil.example", ":9090", "[::1", "[evil]"}) {
    CHECK_MESSAGE(change(admin, foreign) == Access::WebPage, foreign);
  }
  CHECK(change(at("admin.internal"), "Admin.Internal:9090") == Access::Granted);
}

TEST_CASE("without a token, a foreign page's request is refused") {
  const auto admin = at("127.0.0.1");
  const char* own = "127.0.0.1:9090";
  CHECK(change(admin, own, "http://127.0.0.1:9090") == Access::Granted);
  CHECK(change(admin, own, "https://127.0.0.1:9090", "same-origin") == Access::Granted);
  CHECK(change(admin, own, "", "none") == Access::Granted);
  CHECK(change(admin, own, "http://evil.example") == Access::WebPage);
  CHECK(change(admin, own, "http://127.0.0.1:3000") == Access::WebPage);
  CHECK(change(admin, own, "null") == Access::WebPage);
  CHECK(change(admin, own, "127.0.0.1:9090") == Access::WebPage);
  CHECK(change(admin, own, "", "cross-site") == Access::WebPage);
  CHECK(change(admin, own, "", "same-site") == Access::WebPage);
}

TEST_CASE("a loopback address is not read through a rebound name") {
  CHECK(read(at("127.0.0.1"), "127.0.0.1:9090") == Access::Granted);
  CHECK(read(at("127.0.0.1"), "evil.example:9090") == Access::WebPage);
  CHECK(read(at("::1"), "evil.example:9090") == Access::WebPage);
  CHECK(read(at("localhost"), "evil.example:9090") == Access::WebPage);
  CHECK(read(at("0.0.0.0"), "tidegate:9090") == Access::Granted);
  CHECK(read({config::Address{"/run/admin.sock", 0, true}, ""}, "anything") == Access::Granted);
}

TEST_CASE("secrets are equal only when they are") {
  CHECK(equal_secret("abc", "abc"));
  CHECK(equal_secret("", ""));
  CHECK_FALSE(equal_secret("abc", ""));
  CHECK_FALSE(equal_secret("", "abc"));
  CHECK_FALSE(equal_secret("abcabc", "abc"));
  CHECK_FALSE(equal_secret("ab", "abc"));
  CHECK_FALSE(equal_secret("abd", "abc"));
}
