// SPDX-License-Identifier: Apache-2.0
// Rate limits.
#include <fmt/format.h>

#include "config/table.h"

namespace tidegate::config {
namespace {

Kind<Rate> rate_kind() {
  return scalar_kind<Rate>(
      "rate", Json{{"type", "string"}, {"pattern", "^[0-9]+/[smh]$"}},
      [](const std::string& given) { return parse_rate(given); },
      [](const Rate& rate) { return rate.count == 0 ? std::string() : format_rate(rate); });
}

Kind<Limit> key_kind() {
  static constexpr std::pair<const char*, LimitKey> kWords[] = {
      {"route", LimitKey::Route},   {"host", LimitKey::Host},     {"client_ip", LimitKey::ClientIp},
      {"global", LimitKey::Global}, {"script", LimitKey::Script},
  };
  constexpr std::string_view kHeader = "header:";
  Kind<Limit> kind{"word or header:NAME",
                   "route, host, client_ip, header:NAME, global, script",
                   Json{{"$ref", "#/$defs/text"}},
                   {},
                   {}};
  kind.read = [=](Reader& reader, const Node& node, Limit& to) {
    if (!reader.require(node, Node::Kind::Scalar, "a word or header:NAME")) return;
    for (const auto& [word, key] : kWords) {
      if (node.text != word) continue;
      to.key = key;
      return;
    }
    if (!node.text.starts_with(kHeader)) {
      return reader.fail(node, fmt::format("must be one of route, host, client_ip, header:NAME, "
                                           "global, script, got '{}'",
                                           node.text));
    }
    auto name = parse_header_name(node.text.substr(kHeader.size()));
    if (!name) return reader.fail(node, name.error());
    to.key = LimitKey::Header;
    to.key_header = *name;
  };
  kind.write = [=](const Limit& limit) {
    for (const auto& [word, key] : kWords) {
      if (limit.key == key) return Node::scalar(word);
    }
    return Node::scalar(std::string(kHeader) + limit.key_header);
  };
  return kind;
}

}  // namespace

const Section& limit_section() {
  static const Section kSection =
      SectionOf<Limit>("limits.NAME",
                       "A rate limit, shared by all workers; routes name it in `limits`, scripts "
                       "take from it by `proxy.limit`. Over it: 429.")
          .required("rate", &Limit::rate, rate_kind(),
                    "Requests per second, minute or hour: `1000/s`, `10/m`, `5/h`.")
          .field("burst", &Limit::burst, optional(count32(1, 100'000)),
                 "`sliding_window`: so many more than the rate in one period; by default none. "
                 "`token_bucket`: the bucket's size; by default the rate's number.")
          .field("algorithm", &Limit::algorithm,
                 enumeration<LimitAlgorithm>({{"sliding_window", LimitAlgorithm::SlidingWindow},
                                              {"token_bucket", LimitAlgorithm::TokenBucket}}),
                 "`sliding_window`: never more than the rate's number in any period as long as its "
                 "own. `token_bucket`: never more than burst + rate × time in any time.")
          .field("key", key_kind(),
                 "What is counted apart: each route, host, client address, value of a header (all "
                 "requests without it are one), nothing, or what a script says.")
          .field("ipv6_prefix", &Limit::ipv6_prefix, count32(1, 128),
                 "With `key: client_ip`, bits of an IPv6 address that count.")
          .field("max_keys", &Limit::max_keys, count32(1, 16'777'216),
                 "Keys counted apart at once; beyond it, new ones share counts.")
          .field("headers", &Limit::headers, flag(),
                 "Send `RateLimit` and `RateLimit-Policy` with every response, not only with 429.");
  return kSection;
}

}  // namespace tidegate::config
