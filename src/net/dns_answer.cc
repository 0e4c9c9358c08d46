// SPDX-License-Identifier: Apache-2.0
#include "net/dns_answer.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tidegate::net {
namespace {

constexpr size_t kHeaderSize = 12;
constexpr size_t kMaxName = 255;          // RFC 1035 2.3.4
constexpr uint8_t kPointer = 0xc0;        // the two bits of a compressed name
constexpr uint32_t kTtlLimit = 1u << 31;  // from here on it counts as zero (RFC 2181 8)
constexpr uint16_t kInternet = 1;

/// Reads a message from front to back; after a read past the end nothing it gives counts.
class MessageReader {
 public:
  MessageReader(std::string_view message, size_t at) : message_(message), at_(at) {}

  bool good() const { return good_; }
  size_t position() const { return at_; }
  void skip(size_t bytes) { take(bytes); }

  uint8_t byte() {
    const std::string_view one = take(1);
    return one.empty() ? 0 : static_cast<uint8_t>(one[0]);
  }
  uint16_t word() {
    const unsigned high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
  uint32_t two_words() {
    const uint32_t high = word();
    return high << 16 | word();
  }
  std::string_view take(size_t bytes) {
    if (!good_ || message_.size() - at_ < bytes) {
      good_ = false;
      return {};
    }
    at_ += bytes;
    return message_.substr(at_ - bytes, bytes);
  }

  /// A name in its dotted form, without a dot at the end.
  std::string name() {
    std::string text;
    size_t bound = at_;  // a pointer leads to before where the name began, so it can not go round
    std::optional<size_t> after;
    while (good_) {
      const uint8_t length = byte();
      if (length == 0) break;
      if ((length & kPointer) == kPointer) {
        const size_t target = static_cast<size_t>(length & ~kPointer) << 8 | byte();
        if (!after) after = at_;
        good_ = good_ && target < bound;
        at_ = bound = std::min(target, bound);
        continue;
      }
      good_ = good_ && (length & kPointer) == 0 && text.size() + length + 1 <= kMaxName;
      if (!text.empty()) text.push_back('.');
      text.append(take(length));
    }
    if (after) at_ = *after;
    return text;
  }

 private:
  std::string_view message_;
  size_t at_;
  bool good_ = true;
};

void read_address(MessageReader& reader, size_t size, DnsAnswer& to) {
  const std::string_view raw = reader.take(size);
  if (!reader.good()) return;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(raw[i]); };
  if (size == 4) {
    to.addresses.push_back(IpAddress::v4(static_cast<uint32_t>(byte(0)) << 24 | byte(1) << 16 |
                                         byte(2) << 8 | byte(3)));
    return;
  }
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), raw.data(), bytes.size());
  to.addresses.push_back(IpAddress::v6(bytes));
}

void read_service(MessageReader& reader, DnsAnswer& to) {
  DnsService service;
  service.priority = reader.word();
  service.weight = reader.word();
  service.port = reader.word();
  service.target = reader.name();
  to.services.push_back(std::move(service));
}

/// False: malformed.
bool read_record(MessageReader& reader, DnsRecordType wanted, DnsAnswer& to) {
  reader.name();
  const uint16_t type = reader.word();
  const uint16_t of_class = reader.word();
  const uint32_t ttl = reader.two_words();
  const size_t size = reader.word();
  const size_t end = reader.position() + size;
  to.ttl = std::min(to.ttl, ttl >= kTtlLimit ? 0 : ttl);
  if (!reader.good() || type != static_cast<uint16_t>(wanted) || of_class != kInternet) {
    reader.skip(size);
    return reader.good();
  }
  switch (wanted) {
    case DnsRecordType::A:
      if (size == 4) read_address(reader, size, to);
      break;
    case DnsRecordType::Aaaa:
      if (size == 16) read_address(reader, size, to);
      break;
    case DnsRecordType::Srv:
      read_service(reader, to);
      break;
  }
  return reader.good() && reader.position() == end;
}

}  // namespace

std::optional<DnsAnswer> parse_dns_answer(std::string_view message, DnsRecordType type) {
  if (message.size() < kHeaderSize) return std::nullopt;
  MessageReader header(message, 4);
  const unsigned questions = header.word();
  const unsigned answers = header.word();
  MessageReader reader(message, kHeaderSize);
  for (unsigned i = 0; i < questions && reader.good(); ++i) {
    reader.name();
    reader.skip(4);
  }
  DnsAnswer answer;
  answer.ttl = kTtlLimit;
  for (unsigned i = 0; i < answers; ++i) {
    if (!read_record(reader, type, answer)) return std::nullopt;
  }
  if (!reader.good()) return std::nullopt;
  if (answer.ttl == kTtlLimit) answer.ttl = 0;
  return answer;
}

}  // namespace tidegate::net
