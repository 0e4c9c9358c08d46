// SPDX-License-Identifier: Apache-2.0
#include "http/hop_by_hop.h"

#include <array>
#include <cstddef>
#include <string_view>

#include "base/strings.h"

namespace tidegate::http {
namespace {

constexpr uint64_t kAlways =
    header_bit(HeaderId::Connection) | header_bit(HeaderId::KeepAlive) |
    header_bit(HeaderId::ProxyConnection) | header_bit(HeaderId::TransferEncoding) |
    header_bit(HeaderId::Upgrade) | header_bit(HeaderId::Http2Settings) |
    header_bit(HeaderId::ProxyAuthenticate) | header_bit(HeaderId::ProxyAuthorization) |
    header_bit(HeaderId::ProxyAuthenticationInfo);
constexpr uint64_t kRequest = kAlways | header_bit(HeaderId::Te) | header_bit(HeaderId::Trailer);
constexpr uint64_t kResponse = kRequest | header_bit(HeaderId::AltSvc);

/// Fields that this proxy vouches for; a client may not have them taken away.
constexpr uint64_t kProtected =
    header_bit(HeaderId::Host) | header_bit(HeaderId::ContentLength) |
    header_bit(HeaderId::Forwarded) | header_bit(HeaderId::XForwardedFor) |
    header_bit(HeaderId::XForwardedHost) | header_bit(HeaderId::XForwardedPort) |
    header_bit(HeaderId::XForwardedProto) | header_bit(HeaderId::XRealIp) |
    header_bit(HeaderId::XRequestId);

bool is_protected(std::string_view name) {
  return (kProtected & header_bit(header_id(name))) != 0 || name.starts_with("x-forwarded-");
}

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
      if (is_protected(nominations.names[i])) return tl::unexpected(ErrorCode::BadRequest);
    }
  }
  uint64_t ids = kRequest;
  if (headers.has(HeaderId::Te) && accepts_trailers(headers)) {
    headers.set(HeaderId::Te, "trailers");
    ids &= ~header_bit(HeaderId::Te);
  }
  if (head.body == BodyKind::Streamed) ids &= ~header_bit(HeaderId::Trailer);
  remove(headers, nominations, ids);
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
}

}  // namespace tidegate::http
