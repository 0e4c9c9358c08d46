// SPDX-License-Identifier: Apache-2.0
#include "http/hop_by_hop.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "base/strings.h"
#include "http/header_table.h"

namespace tidegate::http {
namespace {

constexpr uint64_t kRequest = headers_with(kHopByHop);
constexpr uint64_t kResponse = kRequest | header_bit(HeaderId::AltSvc);

/// The field names that Connection gives, lower case, without those that go anyway. Honest peers
/// name one or two; the bound keeps the work of removing them small.
struct Nominations {
  static constexpr size_t kMax = 32;
  std::array<std::string_view, kMax> names;
  size_t count = 0;

  bool add(std::string_view element, Arena& arena) {
    if (element == "keep-alive" || element == "close") return true;  // nearly always
    if (iequals(element, "close") || iequals(element, "keep-alive")) return true;
    if (!is_token(element)) return false;
    char* lower = arena.chars(element.size());
    for (size_t i = 0; i < element.size(); ++i) lower[i] = ascii_lower(element[i]);
    const std::string_view name(lower, element.size());
    if ((kRequest & header_bit(header_id(name))) != 0) return true;
    if (count == kMax) return false;
    names[count++] = name;
    return true;
  }
};

/// False: something in Connection is no field name, or there are too many.
bool collect(const Headers& headers, Nominations& nominations) {
  for (const HeaderField& field : headers) {
    if (field.id() != HeaderId::Connection) continue;
    const bool sound = for_each_element(field.value(), [&](std::string_view element) {
      return nominations.add(element, headers.arena());
    });
    if (!sound) return false;
  }
  return true;
}

void remove(Headers& headers, const Nominations& nominations, uint64_t ids) {
  for (size_t i = 0; i < nominations.count; ++i) headers.remove(nominations.names[i]);
  headers.remove_if([ids](const HeaderField& f) { return (header_bit(f.id()) & ids) != 0; });
}

/// Trailers of these names go too, when they come; `nominations` has gone by then.
std::span<const std::string_view> keep(const Nominations& nominations, BodyKind body,
                                       Arena& arena) {
  if (nominations.count == 0 || body != BodyKind::Streamed) return {};
  const size_t bytes = nominations.count * sizeof(std::string_view);
  auto* names = static_cast<std::string_view*>(arena.allocate(bytes, alignof(std::string_view)));
  std::copy_n(nominations.names.begin(), nominations.count, names);
  return {names, nominations.count};
}

bool accepts_trailers(const Headers& headers) {
  for (const HeaderField& field : headers) {
    if (field.id() != HeaderId::Te) continue;
    const bool absent = for_each_element(
        field.value(), [](std::string_view element) { return !iequals(element, "trailers"); });
    if (!absent) return true;
  }
  return false;
}

}  // namespace

Result<void> strip_hop_by_hop(RequestHead& head) {
  Headers& headers = head.headers;
  if (!headers.has_any(kRequest)) return {};
  Nominations nominations;
  if (headers.has(HeaderId::Connection)) {
    if (!collect(headers, nominations)) return tl::unexpected(ErrorCode::BadRequest);
    for (size_t i = 0; i < nominations.count; ++i) {
      if ((traits_of(nominations.names[i]) & kProtected) != 0)
        return tl::unexpected(ErrorCode::BadRequest);
    }
  }
  uint64_t ids = kRequest;
  if (headers.has(HeaderId::Te) && accepts_trailers(headers)) {
    headers.set(HeaderId::Te, "trailers");
    ids &= ~header_bit(HeaderId::Te);
  }
  if (head.body == BodyKind::Streamed) ids &= ~header_bit(HeaderId::Trailer);
  remove(headers, nominations, ids);
  head.nominated = keep(nominations, head.body, headers.arena());
  return {};
}

void strip_hop_by_hop(ResponseHead& head) {
  Headers& headers = head.headers;
  if (!headers.has_any(kResponse)) return;
  Nominations nominations;
  // What an origin names wrongly is not a reason to withhold its answer; what was sound still goes.
  if (headers.has(HeaderId::Connection)) collect(headers, nominations);
  uint64_t ids = kResponse;
  if (head.status == 101) ids &= ~header_bit(HeaderId::Upgrade);
  if (head.body == BodyKind::Streamed) ids &= ~header_bit(HeaderId::Trailer);
  remove(headers, nominations, ids);
  head.nominated = keep(nominations, head.body, headers.arena());
}

void strip_nominated(Headers& trailers, std::span<const std::string_view> nominated) {
  for (const std::string_view name : nominated) trailers.remove(name);
}

}  // namespace tidegate::http
