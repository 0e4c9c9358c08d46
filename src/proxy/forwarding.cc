// SPDX-License-Identifier: Apache-2.0
#include "proxy/forwarding.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>

#include "base/strings.h"
#include "http/authority.h"
#include "http/header_table.h"

namespace tidegate::proxy {
namespace {

using http::HeaderField;
using http::HeaderId;
using http::Headers;

constexpr size_t kMaxAddressText = 46;
constexpr size_t kMaxRequestId = 128;

constexpr uint64_t kClaims = http::headers_with(http::kClaim);

bool is_claim(const HeaderField& field) {
  if (field.id() != HeaderId::Other) return (http::header_bit(field.id()) & kClaims) != 0;
  // Those without an id are X-Forwarded-Server, X_Real_IP, X_Request_Id and the like; few other
  // names come as far as the look-up.
  const std::string_view name = field.name();
  const bool likely = name.size() > 2 && name[0] == 'x' && (name[2] == 'f' || name[2] == 'r');
  return likely && (http::traits_of(field) & http::kClaim) != 0;
}

void drop_claims(Headers& headers) {
  if (!headers.has_any(kClaims | http::header_bit(HeaderId::Other))) return;
  headers.remove_if([](const HeaderField& field) { return is_claim(field); });
}

/// Takes the last element off a comma list; false when there is none left.
bool take_last(std::string_view& list, std::string_view& element) {
  while (!list.empty()) {
    const size_t comma = list.rfind(',');
    const size_t start = comma == std::string_view::npos ? 0 : comma + 1;
    element = trim(list.substr(start));
    list = list.substr(0, start == 0 ? 0 : comma);
    if (!element.empty()) return true;
  }
  return false;
}

/// The address in "1.2.3.4", "1.2.3.4:80", "::1", "[::1]" or "[::1]:80".
std::optional<IpAddress> address_of(std::string_view node) {
  if (node.starts_with('[')) {
    const size_t end = node.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    return IpAddress::parse(node.substr(1, end - 1));
  }
  const size_t colon = node.find(':');
  if (colon != std::string_view::npos && node.find(':', colon + 1) == std::string_view::npos) {
    node = node.substr(0, colon);
  }
  return IpAddress::parse(node);
}

/// The value of one parameter, such as "for=", in an element of Forwarded (RFC 7239 4), without
/// quotes; empty: it is not there.
std::string_view parameter(std::string_view element, std::string_view name) {
  while (!element.empty()) {
    const size_t end = element.find(';');
    const std::string_view pair = trim(element.substr(0, end));
    element = end == std::string_view::npos ? std::string_view() : element.substr(end + 1);
    if (pair.size() < name.size() || !iequals(pair.substr(0, name.size()), name)) continue;
    std::string_view value = pair.substr(name.size());
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return value;
  }
  return {};
}

std::string_view node_of(std::string_view element) {
  return parameter(element, "for=");
}

/// Who the client is, by what the trusted proxies wrote, and the element that says so.
struct Claimed {
  IpAddress client;
  std::string_view element;  // empty: the peer itself
};

/// Walks from the peer back along one field's elements, to the first address that is not a trusted
/// proxy. Where the writing ends or makes no sense, the last address that did is the client.
Claimed walk(const Headers& headers, HeaderId id, const Peer& peer) {
  Claimed claimed{peer.ip, {}};
  if (!headers.has(id)) return claimed;
  for (const HeaderField* field = headers.end(); field-- != headers.begin();) {
    if (field->id() != id) continue;
    std::string_view list = field->value();
    std::string_view element;
    while (take_last(list, element)) {
      const auto address = address_of(id == HeaderId::Forwarded ? node_of(element) : element);
      if (!address) {
        // One that names nobody, or hides the name, may still tell how the client came.
        if (claimed.element.empty()) claimed.element = element;
        return claimed;
      }
      claimed = {*address, element};
      if (!contains(*peer.trusted_proxies, *address)) return claimed;
    }
  }
  return claimed;
}

IpAddress find_client(const Headers& headers, const Peer& peer) {
  const bool plain = headers.has(HeaderId::XForwardedFor);
  return walk(headers, plain ? HeaderId::XForwardedFor : HeaderId::Forwarded, peer).client;
}

/// The addresses of Forwarded as a value of X-Forwarded-For. What names no address, "unknown" or
/// "_hidden", stands there as it is.
std::string_view nodes_of(const Headers& headers) {
  std::string list;
  for (const HeaderField& field : headers) {
    if (field.id() != HeaderId::Forwarded) continue;
    for_each_element(field.value(), [&](std::string_view element) {
      const std::string_view node = node_of(element);
      if (node.empty()) return true;
      if (!list.empty()) list.append(", ");
      const auto address = address_of(node);
      address ? list.append(address->to_string()) : list.append(node);
      return true;
    });
  }
  return headers.arena().copy(list);
}

/// Says by X-Forwarded-* what a trusted peer says by Forwarded. A peer that sends X-Forwarded-For
/// speaks by that, and its Forwarded may be the client's, passed on as it came: nothing is taken
/// from it.
void derive_from_forwarded(Headers& headers, const Peer& peer) {
  if (!headers.has(HeaderId::Forwarded) || headers.has(HeaderId::XForwardedFor)) return;
  const Claimed claimed = walk(headers, HeaderId::Forwarded, peer);
  const std::string_view nodes = nodes_of(headers);
  if (!nodes.empty()) headers.add(HeaderId::XForwardedFor, nodes);
  const std::string_view scheme = parameter(claimed.element, "proto=");
  if (!headers.has(HeaderId::XForwardedProto) && is_token(scheme)) {
    headers.add(HeaderId::XForwardedProto, scheme);
  }
  const std::string_view host = parameter(claimed.element, "host=");
  if (!headers.has(HeaderId::XForwardedHost) && !host.empty() && http::is_authority(host)) {
    headers.add(HeaderId::XForwardedHost, host);
  }
}

/// All X-Forwarded-For lines and the peer's address as one value.
std::string_view joined(const Headers& headers, std::string_view last) {
  Arena& arena = headers.arena();
  size_t size = last.size();
  for (const HeaderField& field : headers) {
    if (field.id() == HeaderId::XForwardedFor) size += field.value().size() + 2;
  }
  char* const to = arena.chars(size);
  char* at = to;
  for (const HeaderField& field : headers) {
    if (field.id() != HeaderId::XForwardedFor || field.value().empty()) continue;
    at = std::copy_n(field.value().data(), field.value().size(), at);
    *at++ = ',';
    *at++ = ' ';
  }
  at = std::copy(last.begin(), last.end(), at);
  return {to, static_cast<size_t>(at - to)};
}

void append_peer(Headers& headers, std::string_view ip_text) {
  if (headers.has(HeaderId::XForwardedFor)) {
    headers.set(HeaderId::XForwardedFor, joined(headers, ip_text));
  } else {
    headers.add(HeaderId::XForwardedFor, ip_text);
  }
}

std::string_view port_text(uint16_t port, Arena& arena) {
  std::array<char, 5> digits;
  size_t first = digits.size();
  for (unsigned rest = port; rest > 0; rest /= 10) {
    digits[--first] = static_cast<char>('0' + rest % 10);
  }
  return arena.copy({digits.data() + first, digits.size() - first});
}

/// The port that a client of a trusted proxy asked for: of the host that it named, else the one
/// that its scheme stands for.
std::string_view claimed_port(const Headers& headers) {
  const std::string_view hosts = headers.get(HeaderId::XForwardedHost);
  const std::string_view host = trim(hosts.substr(0, hosts.find(',')));
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && colon + 1 < host.size() && host.back() != ']') {
    const std::string_view port = host.substr(colon + 1);
    if (parse_decimal(port, UINT16_MAX)) return port;
  }
  const std::string_view schemes = headers.get(HeaderId::XForwardedProto);
  const std::string_view scheme = trim(schemes.substr(0, schemes.find(',')));
  return iequals(scheme, "https") || iequals(scheme, "wss") ? "443" : "80";
}

void add_missing(http::RequestHead& head, const Peer& peer) {
  Headers& headers = head.headers;
  if (!headers.has(HeaderId::XForwardedProto)) headers.add(HeaderId::XForwardedProto, peer.scheme);
  if (!headers.has(HeaderId::XForwardedHost) && !head.authority.empty()) {
    headers.add(HeaderId::XForwardedHost, head.authority);
  }
  if (headers.has(HeaderId::XForwardedPort)) return;
  if (peer.trusted) {
    headers.add(HeaderId::XForwardedPort, claimed_port(headers));
  } else if (peer.listener_port != 0) {
    headers.add(HeaderId::XForwardedPort, port_text(peer.listener_port, headers.arena()));
  }
}

// What can stand in logs, in JSON and in other headers without being escaped.
bool is_id_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-._~:+/=@").find(c) != std::string_view::npos;
}

bool is_sound_id(const Headers& headers) {
  if (headers.count(HeaderId::XRequestId) != 1) return false;
  const std::string_view id = headers.get(HeaderId::XRequestId);
  return !id.empty() && id.size() <= kMaxRequestId && std::all_of(id.begin(), id.end(), is_id_char);
}

uint64_t splitmix(uint64_t& seed) {
  seed += 0x9e3779b97f4a7c15u;
  uint64_t z = seed;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/// The eight hexadecimal digits of `value`, all at once: each byte of a word becomes one digit.
/// They come in the machine's order, which is nothing to a random number.
char* write_hex(char* to, uint32_t value) {
  constexpr uint64_t kOnes = 0x0101010101010101u;
  uint64_t digits = value;
  digits = (digits << 16 | digits) & 0x0000ffff0000ffffu;
  digits = (digits << 8 | digits) & 0x00ff00ff00ff00ffu;
  digits = (digits << 4 | digits) & 0x0f0f0f0f0f0f0f0fu;
  const uint64_t letters = (digits + 6 * kOnes) >> 4 & kOnes;  // 1 where the digit is over 9
  digits += '0' * kOnes + letters * ('a' - '0' - 10);
  std::memcpy(to, &digits, sizeof(digits));
  return to + sizeof(digits);
}

}  // namespace

IdGenerator::IdGenerator() {
  while (getrandom(state_.data(), sizeof(state_), 0) != static_cast<ssize_t>(sizeof(state_))) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  state_[0] |= 1;  // all zero would stay so
}

IdGenerator::IdGenerator(uint64_t seed) {
  for (uint64_t& word : state_) word = splitmix(seed);
}

// xoshiro256**, by Blackman and Vigna.
uint64_t IdGenerator::random() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::string_view IdGenerator::next(Arena& arena) {
  constexpr size_t kSize = 32;
  char* const to = arena.chars(kSize);
  char* at = to;
  for (int half = 0; half < 2; ++half) {
    const uint64_t value = random();
    at = write_hex(at, static_cast<uint32_t>(value >> 32));
    at = write_hex(at, static_cast<uint32_t>(value));
  }
  return {to, kSize};
}

Forwarded apply_forwarding(http::RequestHead& head, const Peer& peer, IdGenerator& ids) {
  Headers& headers = head.headers;
  Forwarded forwarded{peer.ip, peer.ip_text, {}};
  if (peer.trusted) {
    forwarded.client_ip = find_client(headers, peer);
    if (forwarded.client_ip != peer.ip) {
      char* text = headers.arena().chars(kMaxAddressText);
      forwarded.client_ip_text = {text, forwarded.client_ip.write(text)};
    }
    derive_from_forwarded(headers, peer);
  } else {
    drop_claims(headers);
  }
  if (!peer.by_unix_socket) append_peer(headers, peer.ip_text);
  add_missing(head, peer);
  if (is_sound_id(headers)) {
    forwarded.request_id = headers.get(HeaderId::XRequestId);
  } else {
    forwarded.request_id = ids.next(headers.arena());
    headers.set(HeaderId::XRequestId, forwarded.request_id);
  }
  return forwarded;
}

}  // namespace tidegate::proxy
