// SPDX-License-Identifier: Apache-2.0
// Which endpoints of a cluster are chosen.
#include <array>

#include "config/table.h"

namespace tidegate::config {
namespace {

struct HashWord {
  std::string_view word;
  HashOn::Kind kind;
  bool named;
};

constexpr std::array<HashWord, 5> kHashWords{{{"client_ip", HashOn::Kind::ClientIp, false},
                                              {"path", HashOn::Kind::Path, false},
                                              {"header", HashOn::Kind::Header, true},
                                              {"cookie", HashOn::Kind::Cookie, true},
                                              {"query", HashOn::Kind::Query, true}}};

Fallible<HashOn> parse_hash_on(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string_view word = std::string_view(text).substr(0, colon);
  const std::string name = colon == std::string::npos ? std::string() : text.substr(colon + 1);
  for (const HashWord& known : kHashWords) {
    if (known.word != word || known.named == name.empty()) continue;
    if (known.kind != HashOn::Kind::Header) return HashOn{known.kind, name};
    return parse_header_name(name).map([](std::string lower) {
      return HashOn{HashOn::Kind::Header, std::move(lower)};
    });
  }
  return tl::unexpected("expected client_ip, path, header:NAME, cookie:NAME or query:NAME, got '" +
                        text + "'");
}

std::string format_hash_on(const HashOn& what) {
  for (const HashWord& known : kHashWords) {
    if (known.kind != what.kind) continue;
    return std::string(known.word) + (known.named ? ":" + what.name : std::string());
  }
  return {};
}

}  // namespace

Kind<HashOn> hash_on_kind() {
  return scalar_kind<HashOn>("client_ip, path, header:NAME, cookie:NAME or query:NAME",
                             Json{{"$ref", "#/$defs/text"}}, parse_hash_on, format_hash_on);
}

const Section& locality_section() {
  static const Section kSection =
      SectionOf<Locality>("clusters.NAME.locality",
                          "Endpoints with this tag go before others, as long as enough of them are "
                          "available. A retry goes further away before it goes where it has been.")
          .required("tag", &Locality::tag, text("tag name"), "Name of the tag, such as `zone`.")
          .required("value", &Locality::value, text("tag value"),
                    "Its value, such as `eu` or `${ZONE}`.")
          .field("min_available", &Locality::min_available, share(0, 100),
                 "With a smaller share of them available, all endpoints are used alike.");
  return kSection;
}

}  // namespace tidegate::config
