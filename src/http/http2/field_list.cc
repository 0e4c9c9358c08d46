// SPDX-License-Identifier: Apache-2.0
#include "http/http2/field_list.h"

#include <charconv>

#include "http/header_table.h"

namespace tidegate::http::http2 {
namespace {

// What the codec says itself, or what must not leave this connection (RFC 9113 8.2.2).
constexpr uint64_t kOwnFields = headers_with(kOneConnection) | header_bit(HeaderId::ContentLength) |
                                header_bit(HeaderId::Http2Settings) | header_bit(HeaderId::Te);
constexpr uint64_t kOwnRequestFields = kOwnFields | header_bit(HeaderId::Host);
// The handshake of HTTP/1 that extended CONNECT does without (RFC 8441 5).
constexpr uint64_t kHandshake =
    header_bit(HeaderId::SecWebSocketKey) | header_bit(HeaderId::SecWebSocketAccept);
// Never put into a compression table: secrets, for which RFC 7541 7.1.3 asks, and what is new in
// every message, which would only push others out.
constexpr uint64_t kNotIndexed =
    header_bit(HeaderId::Authorization) | header_bit(HeaderId::ProxyAuthorization) |
    header_bit(HeaderId::SetCookie) | header_bit(HeaderId::Traceparent) |
    header_bit(HeaderId::Tracestate) | header_bit(HeaderId::XRequestId);
constexpr size_t kShortCookie = 20;  // bytes that could be guessed one at a time
constexpr size_t kOwnCount = 8;      // pseudo-headers and what the codec adds
constexpr size_t kDigits = 20;

uint8_t* bytes(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

uint8_t flags_of(const HeaderField& field) {
  unsigned flags =
      field.id() == HeaderId::Other ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_COPY_NAME;
  const bool short_cookie = field.id() == HeaderId::Cookie && field.value_size < kShortCookie;
  if (((kNotIndexed >> field.id_bits) & 1) != 0 || short_cookie) flags |= NGHTTP2_NV_FLAG_NO_INDEX;
  return static_cast<uint8_t>(flags);
}

/// nghttp2 copies what it is given unless told that a text is a literal, as known names are.
nghttp2_nv pair_of(const HeaderField& field) {
  const std::string_view name = field.id() == HeaderId::Other ? field.name() : name_of(field.id());
  return {bytes(name), bytes(field.value()), name.size(), field.value_size, flags_of(field)};
}

class Builder {
 public:
  Builder(Arena& arena, size_t room)
      : arena_(arena),
        fields_(static_cast<nghttp2_nv*>(
            arena.allocate(room * sizeof(nghttp2_nv), alignof(nghttp2_nv)))) {}

  /// `name` is a literal.
  Builder& add(std::string_view name, std::string_view value) {
    fields_[size_++] = {bytes(name), bytes(value), name.size(), value.size(),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME};
    return *this;
  }
  Builder& add_number(std::string_view name, uint64_t number) {
    char* text = arena_.chars(kDigits);
    const char* end = std::to_chars(text, text + kDigits, number).ptr;
    return add(name, {text, static_cast<size_t>(end - text)});
  }
  Builder& add_all(const Headers& headers, uint64_t skipped) {
    for (const HeaderField& field : headers) {
      if (((skipped >> field.id_bits) & 1) == 0) fields_[size_++] = pair_of(field);
    }
    return *this;
  }
  FieldSpan span() const { return {fields_, size_}; }

 private:
  Arena& arena_;
  nghttp2_nv* fields_;
  size_t size_ = 0;
};

bool is_tunnel_status(uint16_t status) {
  return status == 101;
}

}  // namespace

FieldSpan request_fields(const RequestHead& head, const RequestForm& form) {
  Arena& arena = head.headers.arena();
  Builder to(arena, head.headers.size() + kOwnCount);
  const bool connect = head.method == Method::Connect;
  to.add(":method", form.tunnel ? std::string_view("CONNECT") : head.method_name);
  if (form.tunnel) to.add(":protocol", head.upgrade);
  if (!connect) to.add(":scheme", form.scheme);
  const std::string_view host = head.headers.get(HeaderId::Host);
  to.add(":authority", connect || host.empty() ? head.authority : host);
  if (!connect) {
    to.add(":path", head.has_query ? arena.join(head.path, "?", head.query) : head.path);
  }
  to.add_all(head.headers, kOwnRequestFields | (form.tunnel ? kHandshake : 0));
  if (head.headers.get(HeaderId::Te) == "trailers") to.add("te", "trailers");
  if (head.body == BodyKind::Sized && !connect && !form.tunnel) {
    to.add_number("content-length", head.content_length);
  }
  return to.span();
}

FieldSpan response_fields(const ResponseHead& head, const ResponseForm& form) {
  Builder to(head.headers.arena(), head.headers.size() + kOwnCount);
  to.add_number(":status", form.status);
  to.add_all(head.headers, kOwnFields | (is_tunnel_status(head.status) ? kHandshake : 0));
  if (form.announces_length) to.add_number("content-length", head.content_length);
  return to.span();
}

FieldSpan trailer_fields(const Headers& trailers) {
  Builder to(trailers.arena(), trailers.size());
  return to.add_all(trailers, kOwnFields).span();
}

FieldList::FieldList(const Headers& fields) {
  size_t room = 0;
  for (const HeaderField& field : fields) room += size_t{field.name_size} + field.value_size;
  texts_.reserve(room);
  for (const HeaderField& field : fields) {
    if (((kOwnFields >> field.id_bits) & 1) != 0) continue;
    nghttp2_nv pair = pair_of(field);
    const auto keep = [this](uint8_t* from, size_t size) {
      texts_.append(reinterpret_cast<const char*>(from), size);
      return reinterpret_cast<uint8_t*>(texts_.data() + texts_.size() - size);
    };
    if (field.id() == HeaderId::Other) pair.name = keep(pair.name, pair.namelen);
    pair.value = keep(pair.value, pair.valuelen);
    fields_.push_back(pair);
  }
}

}  // namespace tidegate::http::http2
