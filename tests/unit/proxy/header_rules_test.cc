// SPDX-License-Identifier: Apache-2.0
// The rules of field names, name by name from the list that the integration tests read too.
#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "http/header_table.h"
#include "http/hop_by_hop.h"
#include "http/trailer_rules.h"
#include "proxy/forwarding.h"
#include "unit/http/fixture.h"

namespace tidegate::proxy {
namespace {

struct Rule {
  std::string name;
  std::string value;
  std::string untrusted;
  std::string trusted;
  std::string trailers;
  std::string response;
  std::string response_trailers;
  std::string h2;
};

std::vector<Rule> read_rules() {
  std::ifstream file(TIDEGATE_SOURCE_DIR "/tests/support/header_rules.txt");
  std::vector<Rule> rules;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    Rule rule;
    words >> rule.name >> rule.value >> rule.untrusted >> rule.trusted >> rule.trailers >>
        rule.response >> rule.response_trailers >> rule.h2;
    CHECK_MESSAGE(!rule.h2.empty(), line);
    rules.push_back(rule);
  }
  return rules;
}

struct RulesFixture : http::ArenaFixture {
  std::vector<Cidr> trusted{*Cidr::parse("10.0.0.0/8")};
  IdGenerator ids{1};

  /// "pass", or "drop" when no field of the name holds the value any more.
  static std::string fate(const http::Headers& headers, const Rule& rule) {
    for (const http::HeaderField& field : headers) {
      const bool held = field.value().find(rule.value) != std::string_view::npos;
      if (field.name() == rule.name && held) return "pass";
    }
    return "drop";
  }
  std::string in_request(const Rule& rule, std::string_view ip) {
    http::RequestHead head(arena);
    head.body = http::BodyKind::Streamed;
    head.authority = "shop.example";
    head.headers.add(rule.name, rule.value);
    if (!http::strip_hop_by_hop(head)) return "refuse";
    Peer peer;
    peer.ip = *IpAddress::parse(ip);
    peer.ip_text = ip;
    peer.trusted_proxies = &trusted;
    peer.trusted = contains(trusted, peer.ip);
    apply_forwarding(head, peer, ids);
    return fate(head.headers, rule);
  }
  std::string in_response(const Rule& rule) {
    http::ResponseHead head(arena);
    head.status = 200;
    head.body = http::BodyKind::Streamed;
    head.headers.add(rule.name, rule.value);
    http::strip_hop_by_hop(head);
    return fate(head.headers, rule);
  }
  std::string in_trailers(const Rule& rule, http::TrailersOf message) {
    http::Headers trailers(arena);
    trailers.add(rule.name, rule.value);
    if (!http::sift_trailers(trailers, message)) return "refuse";
    return fate(trailers, rule);
  }
};

std::string expected(const std::string& rule) {
  return rule == "own" ? "drop" : rule;
}

// Origins' names with '_' are dropped by the codec, before these rules.
bool has_underscore(const Rule& rule) {
  return rule.name.find('_') != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(RulesFixture, "H8: every name fares in heads and trailers as the list says") {
  for (const Rule& rule : read_rules()) {
    CAPTURE(rule.name);
    const bool in_heads = rule.untrusted != "-" && rule.name != "grpc-timeout";
    if (in_heads) CHECK(in_request(rule, "9.9.9.9") == expected(rule.untrusted));
    if (in_heads) CHECK(in_request(rule, "10.0.0.1") == expected(rule.trusted));
    CHECK(in_trailers(rule, http::TrailersOf::Request) == rule.trailers);
    if (has_underscore(rule)) continue;
    if (rule.response != "-") CHECK(in_response(rule) == rule.response);
    CHECK(in_trailers(rule, http::TrailersOf::Response) == rule.response_trailers);
  }
}

TEST_CASE("H8: the list holds every name that the proxy knows") {
  std::set<std::string, std::less<>> names;
  for (const Rule& rule : read_rules()) names.insert(rule.name);
  for (const http::KnownHeader& known : http::kKnownHeaders) {
    if (known.id == http::HeaderId::Other) continue;
    CHECK_MESSAGE(names.contains(known.name), known.name);
  }
}

TEST_CASE_FIXTURE(RulesFixture,
                  "H8: a claim that a listener lets through by its twin is protected") {
  for (const std::string_view name : {"x_real_ip", "X-Forwarded-User", "x_forwarded_for"}) {
    CAPTURE(name);
    http::RequestHead head(arena);
    head.headers.add("connection", arena.copy(name));
    CHECK_FALSE(http::strip_hop_by_hop(head));
  }
}

TEST_CASE_FIXTURE(RulesFixture, "H8: what Connection names goes from trailers too") {
  http::RequestHead head(arena);
  head.body = http::BodyKind::Streamed;
  head.headers.add("connection", "close, X-Mine");
  REQUIRE(http::strip_hop_by_hop(head));
  head.trailers.add("x-mine", "1");
  head.trailers.add("x-sum", "2");
  http::strip_nominated(head.trailers, head.nominated);
  CHECK(http::text_of(head.trailers) == "x-sum: 2\n");
}

}  // namespace tidegate::proxy
