// SPDX-License-Identifier: Apache-2.0
#include "proxy/forwarding.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "unit/http/fixture.h"

namespace tidegate::proxy {
namespace {

using http::FieldList;

struct ForwardingFixture : http::ArenaFixture {
  std::vector<Cidr> trusted{*Cidr::parse("10.0.0.0/8"), *Cidr::parse("fd00::/8")};
  IdGenerator ids{1};
  http::RequestHead head{arena};
  std::string peer_text;

  Peer peer(std::string_view ip) {
    peer_text = ip;
    Peer made;
    made.ip = *IpAddress::parse(ip);
    made.ip_text = peer_text;
    made.trusted_proxies = &trusted;
    made.port = 50000;
    made.listener_port = 8080;
    made.trusted = contains(trusted, made.ip);
    return made;
  }
  Forwarded apply(const Peer& from, FieldList fields) {
    head.authority = "shop.example:8080";
    head.headers.clear();
    http::add_all(head.headers, fields);
    return apply_forwarding(head, from, ids);
  }
  std::string fields_without_id() {
    head.headers.remove(http::HeaderId::XRequestId);
    return http::text_of(head.headers);
  }
  std::string client(const Peer& from, FieldList fields) {
    const Forwarded forwarded = apply(from, fields);
    CHECK(forwarded.client_ip_text == forwarded.client_ip.to_string());
    return std::string(forwarded.client_ip_text);
  }
};

constexpr std::string_view kAfresh =
    "x-forwarded-for: 9.9.9.9\nx-forwarded-proto: http\nx-forwarded-host: shop.example:8080\n"
    "x-forwarded-port: 8080\n";

}  // namespace

TEST_CASE_FIXTURE(ForwardingFixture, "forwarding headers are set on a request that has none") {
  CHECK(client(peer("9.9.9.9"), {{"accept", "*/*"}}) == "9.9.9.9");
  CHECK(fields_without_id() == "accept: */*\n" + std::string(kAfresh));
  CHECK(client(peer("10.0.0.1"), {}) == "10.0.0.1");
  CHECK(head.headers.get(http::HeaderId::XForwardedFor) == "10.0.0.1");
  CHECK(client(peer("fd00::1"), {}) == "fd00::1");
}

TEST_CASE_FIXTURE(ForwardingFixture,
                  "what an untrusted peer claims is dropped, with its underscore twins") {
  CHECK(client(peer("9.9.9.9"), {{"x-forwarded-for", "1.1.1.1"},
                                 {"x-forwarded-for", "2.2.2.2"},
                                 {"x-forwarded-proto", "https"},
                                 {"x-forwarded-host", "evil"},
                                 {"x-forwarded-port", "1"},
                                 {"x-forwarded-server", "evil"},
                                 {"x-forwarded-prefix", "/evil"},
                                 {"forwarded", "for=1.1.1.1"},
                                 {"x-real-ip", "1.1.1.1"},
                                 {"x_forwarded_for", "1.1.1.1"},
                                 {"x-forwarded_host", "evil"},
                                 {"x_real_ip", "1.1.1.1"},
                                 {"x_real-ip", "1.1.1.1"},
                                 {"x_request_id", "evil"}}) == "9.9.9.9");
  CHECK(fields_without_id() == kAfresh);
}

TEST_CASE_FIXTURE(ForwardingFixture, "names that only resemble forwarding headers stay") {
  apply(peer("9.9.9.9"),
        {{"x-forward", "1"}, {"x-forwardedfor", "2"}, {"x-real-ips", "3"}, {"x-request-ids", "4"}});
  CHECK(fields_without_id() ==
        "x-forward: 1\nx-forwardedfor: 2\nx-real-ips: 3\nx-request-ids: 4\n" +
            std::string(kAfresh));
}

TEST_CASE_FIXTURE(ForwardingFixture, "a trusted peer is appended, and what it says is kept") {
  CHECK(client(peer("10.0.0.1"), {{"x-forwarded-for", "1.1.1.1"},
                                  {"x-forwarded-proto", "https"},
                                  {"x-forwarded-host", "www"},
                                  {"x-real-ip", "1.1.1.1"},
                                  {"forwarded", "for=2.2.2.2"}}) == "1.1.1.1");
  CHECK(fields_without_id() ==
        "x-forwarded-for: 1.1.1.1, 10.0.0.1\nx-forwarded-proto: https\nx-forwarded-host: www\n"
        "x-real-ip: 1.1.1.1\nforwarded: for=2.2.2.2\nx-forwarded-port: 443\n");
}

TEST_CASE_FIXTURE(ForwardingFixture, "several lines of x-forwarded-for become one") {
  CHECK(client(peer("10.0.0.1"), {{"x-forwarded-for", "1.1.1.1, 2.2.2.2"},
                                  {"x-forwarded-for", ""},
                                  {"accept", "*/*"},
                                  {"x-forwarded-for", "10.0.0.2"}}) == "2.2.2.2");
  CHECK(head.headers.count(http::HeaderId::XForwardedFor) == 1);
  CHECK(head.headers.get(http::HeaderId::XForwardedFor) == "1.1.1.1, 2.2.2.2, 10.0.0.2, 10.0.0.1");
}

TEST_CASE_FIXTURE(ForwardingFixture, "the client is found right to left past the trusted proxies") {
  struct Case {
    std::string_view chain;
    std::string_view client;
  };
  const Case cases[] = {
      {"1.1.1.1", "1.1.1.1"},
      {"6.6.6.6, 1.1.1.1", "1.1.1.1"},
      {"6.6.6.6, 1.1.1.1, 10.0.0.3,10.0.0.2", "1.1.1.1"},
      {"1.1.1.1,fd00::7", "1.1.1.1"},
      {"10.0.0.3, 10.0.0.2", "10.0.0.3"},
      {"1.1.1.1:4711", "1.1.1.1"},
      {"2001:db8::1", "2001:db8::1"},
      {"[2001:db8::1]:4711", "2001:db8::1"},
      {"[2001:db8::1], 10.0.0.2", "2001:db8::1"},
      {"1.1.1.1,,", "1.1.1.1"},
      {"1.1.1.1, unknown", "10.0.0.1"},
      {"1.1.1.1, nonsense, 10.0.0.2", "10.0.0.2"},
      {"[2001:db8::1", "10.0.0.1"},
      {"", "10.0.0.1"},
      {" , ", "10.0.0.1"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.chain);
    CHECK(client(peer("10.0.0.1"), {{"x-forwarded-for", c.chain}}) == c.client);
  }
}

TEST_CASE_FIXTURE(ForwardingFixture,
                  "forwarded tells the client where there is no x-forwarded-for") {
  struct Case {
    std::string_view value;
    std::string_view client;
  };
  const Case cases[] = {
      {"for=1.1.1.1", "1.1.1.1"},
      {"proto=https; For=\"1.1.1.1:80\" ;by=10.0.0.1", "1.1.1.1"},
      {"for=6.6.6.6, for=\"[2001:db8::1]:80\", for=10.0.0.2", "2001:db8::1"},
      {"for=1.1.1.1, for=_hidden", "10.0.0.1"},
      {"for=1.1.1.1, proto=https", "10.0.0.1"},
      {"for=", "10.0.0.1"},
      {"for=\"", "10.0.0.1"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    CHECK(client(peer("10.0.0.1"), {{"forwarded", c.value}}) == c.client);
  }
}

TEST_CASE_FIXTURE(ForwardingFixture, "what is not known is not set") {
  Peer local;
  local.by_unix_socket = true;
  local.ip_text = "unix";
  local.scheme = "https";
  head.authority = "";
  const Forwarded forwarded = apply_forwarding(head, local, ids);
  CHECK(fields_without_id() == "x-forwarded-proto: https\n");
  CHECK(forwarded.client_ip_text == "unix");
}

TEST_CASE_FIXTURE(ForwardingFixture, "a trusted peer on a unix socket is believed, and not named") {
  Peer local;
  local.by_unix_socket = local.trusted = true;
  local.ip_text = "unix";
  local.trusted_proxies = &trusted;
  CHECK(client(local, {{"x-forwarded-for", "9.9.9.9, 10.0.0.2"}}) == "9.9.9.9");
  CHECK(head.headers.get(http::HeaderId::XForwardedFor) == "9.9.9.9, 10.0.0.2");
}

TEST_CASE_FIXTURE(ForwardingFixture, "a request id is kept only from a trusted peer") {
  CHECK(apply(peer("10.0.0.1"), {{"x-request-id", "abc-123"}}).request_id == "abc-123");
  const std::string fresh(apply(peer("9.9.9.9"), {{"x-request-id", "abc-123"}}).request_id);
  CHECK(fresh.size() == 32);
  CHECK(fresh.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(head.headers.get(http::HeaderId::XRequestId) == fresh);
  CHECK(head.headers.count(http::HeaderId::XRequestId) == 1);
}

TEST_CASE_FIXTURE(ForwardingFixture, "a request id that is not sound is replaced") {
  const std::string longest(128, 'x');
  const std::string too_long(129, 'x');
  CHECK(apply(peer("10.0.0.1"), {{"x-request-id", longest}}).request_id == longest);
  for (std::string_view id :
       {std::string_view(too_long), std::string_view(""), std::string_view("a b"),
        std::string_view("a\tb"), std::string_view("\xc3\xa4")}) {
    CAPTURE(id);
    CHECK(apply(peer("10.0.0.1"), {{"x-request-id", id}}).request_id.size() == 32);
    CHECK(head.headers.count(http::HeaderId::XRequestId) == 1);
  }
  CHECK(apply(peer("10.0.0.1"), {{"x-request-id", "a"}, {"x-request-id", "b"}}).request_id.size() ==
        32);
  CHECK(head.headers.count(http::HeaderId::XRequestId) == 1);
}

TEST_CASE_FIXTURE(ForwardingFixture, "ids do not repeat, within one generator or between two") {
  IdGenerator one;
  IdGenerator two;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    CHECK(seen.insert(std::string(one.next(arena))).second);
    CHECK(seen.insert(std::string(two.next(arena))).second);
  }
  IdGenerator same_a(42);
  IdGenerator same_b(42);
  CHECK(same_a.next(arena) == same_b.next(arena));
}

TEST_CASE_FIXTURE(ForwardingFixture,
                  "H6: a trusted peer's port is its own, of the host, of the scheme") {
  const auto port = [this](FieldList fields, std::string_view authority = "shop.example") {
    head.authority = authority;
    head.headers.clear();
    http::add_all(head.headers, fields);
    apply_forwarding(head, peer("10.0.0.1"), ids);
    return std::string(head.headers.get(http::HeaderId::XForwardedPort));
  };
  CHECK(port({{"x-forwarded-port", "8443"}, {"x-forwarded-proto", "https"}}) == "8443");
  CHECK(port({{"x-forwarded-proto", "https"}}) == "443");
  CHECK(port({{"x-forwarded-proto", "HTTPS, http"}}) == "443");
  CHECK(port({{"x-forwarded-proto", "http"}}) == "80");
  CHECK(port({}) == "80");
  CHECK(port({{"x-forwarded-proto", "https"}}, "shop.example:8444") == "8444");
  CHECK(port({{"x-forwarded-proto", "https"}}, "[2001:db8::1]") == "443");
  CHECK(port({{"x-forwarded-proto", "https"}}, "[2001:db8::1]:81") == "81");
  CHECK(port({{"x-forwarded-host", "real.example:444"}}, "inner:8080") == "444");
  CHECK(port({{"x-forwarded-host", "real.example:99999"}, {"x-forwarded-proto", "https"}}) ==
        "443");
}

TEST_CASE_FIXTURE(ForwardingFixture, "H6: an untrusted client's port is the one it connected to") {
  Peer named = peer("9.9.9.9");
  named.listener_port = 443;  // by a PROXY protocol header
  apply(named, {{"x-forwarded-port", "1"}});
  CHECK(head.headers.get(http::HeaderId::XForwardedPort) == "443");
}

TEST_CASE_FIXTURE(ForwardingFixture,
                  "H7: what a trusted peer says by Forwarded, X-Forwarded-* say too") {
  CHECK(
      client(peer("10.0.0.1"), {{"forwarded", "for=198.51.100.7;proto=https;host=real.example"}}) ==
      "198.51.100.7");
  CHECK(fields_without_id() ==
        "forwarded: for=198.51.100.7;proto=https;host=real.example\n"
        "x-forwarded-for: 198.51.100.7, 10.0.0.1\nx-forwarded-proto: https\n"
        "x-forwarded-host: real.example\nx-forwarded-port: 443\n");

  // Of several hops, the one that the client spoke to.
  CHECK(client(peer("10.0.0.1"),
               {{"forwarded", "for=6.6.6.6;proto=http;host=evil"},
                {"forwarded",
                 "for=\"[2001:db8::7]:4711\";proto=https;host=\"real.example:8443\", "
                 "for=10.0.0.2;proto=http;host=inner"}}) == "2001:db8::7");
  CHECK(fields_without_id().ends_with(
      "x-forwarded-for: 6.6.6.6, 2001:db8::7, 10.0.0.2, 10.0.0.1\nx-forwarded-proto: https\n"
      "x-forwarded-host: real.example:8443\nx-forwarded-port: 8443\n"));
}

TEST_CASE_FIXTURE(ForwardingFixture, "H7: what a trusted peer says by X-Forwarded-* stands") {
  apply(peer("10.0.0.1"), {{"x-forwarded-for", "1.1.1.1"},
                           {"x-forwarded-proto", "http"},
                           {"forwarded", "for=2.2.2.2;proto=https;host=other"}});
  CHECK(head.headers.get(http::HeaderId::XForwardedFor) == "1.1.1.1, 10.0.0.1");
  CHECK(head.headers.get(http::HeaderId::XForwardedProto) == "http");
  CHECK(head.headers.get(http::HeaderId::XForwardedHost) == "shop.example:8080");
}

TEST_CASE_FIXTURE(ForwardingFixture,
                  "H7: beside X-Forwarded-For nothing is taken from Forwarded, which may be the "
                  "client's own") {
  for (const std::string_view value :
       {"proto=https;host=evil.example:666", "for=1.1.1.1;proto=https;host=evil.example:666",
        "for=6.6.6.6;host=evil.example, for=10.0.0.2;proto=https"}) {
    CAPTURE(value);
    CHECK(client(peer("10.0.0.1"), {{"forwarded", value}, {"x-forwarded-for", "1.1.1.1"}}) ==
          "1.1.1.1");
    CHECK(fields_without_id().ends_with(
        "x-forwarded-for: 1.1.1.1, 10.0.0.1\nx-forwarded-proto: http\n"
        "x-forwarded-host: shop.example:8080\nx-forwarded-port: 8080\n"));
  }
}

TEST_CASE_FIXTURE(ForwardingFixture, "H7: of a Forwarded that makes no sense nothing is derived") {
  for (const std::string_view value :
       {"proto=ht tp;host=a b", "for=;proto=;host=", "host=\"evil/path\"", ";;,,", "for"}) {
    CAPTURE(value);
    apply(peer("10.0.0.1"), {{"forwarded", value}});
    CHECK(head.headers.get(http::HeaderId::XForwardedFor) == "10.0.0.1");
    CHECK(head.headers.get(http::HeaderId::XForwardedProto) == "http");
    CHECK(head.headers.get(http::HeaderId::XForwardedHost) == "shop.example:8080");
  }
  CHECK(client(peer("10.0.0.1"), {{"forwarded", "for=unknown, for=_hidden;proto=https"}}) ==
        "10.0.0.1");
  CHECK(head.headers.get(http::HeaderId::XForwardedFor) == "unknown, _hidden, 10.0.0.1");
  CHECK(head.headers.get(http::HeaderId::XForwardedProto) == "https");
}

}  // namespace tidegate::proxy
