// SPDX-License-Identifier: Apache-2.0
#include "http/http1/head_writer.h"

#include "http/header_table.h"

namespace tidegate::http::http1 {
namespace {

// What the codec says itself, or what must not leave this connection.
constexpr uint64_t kOwnFields = headers_with(kOneConnection) | header_bit(HeaderId::ContentLength);
constexpr uint64_t kOwnRequestFields =
    kOwnFields | header_bit(HeaderId::Host) | header_bit(HeaderId::Te);

constexpr size_t kFieldExtra = 4;     // ": " and CRLF
constexpr size_t kFramingRoom = 192;  // names and numbers of the fields that framing adds

size_t room_for(const Headers& headers, const HeadFraming& framing) {
  size_t room = kFramingRoom + framing.connection.size() + framing.upgrade.size();
  for (const HeaderField& field : headers) {
    room += size_t{field.name_size} + field.value_size + kFieldExtra;
  }
  return room;
}

void write_fields(BlockWriter& to, const Headers& headers, uint64_t skipped) {
  for (const HeaderField& field : headers) {
    if ((skipped >> field.id_bits) & 1) continue;
    to.field(field.name(), field.value());
  }
}

void write_framing(BlockWriter& to, const HeadFraming& framing) {
  if (framing.framing == Framing::Sized || framing.announces_length) {
    to.text("content-length: ").number(framing.length).text("\r\n");
  } else if (framing.framing == Framing::Chunked) {
    to.text("transfer-encoding: chunked\r\n");
  }
  if (!framing.connection.empty()) to.field("connection", framing.connection);
  if (!framing.upgrade.empty()) to.field("upgrade", framing.upgrade);
  to.text("\r\n");
}

}  // namespace

void write_request_head(OutputBuffer& output, const RequestHead& head, const HeadFraming& framing) {
  const size_t line = head.method_name.size() + head.path.size() + head.query.size();
  BlockWriter to(output, line + room_for(head.headers, framing));
  to.text(head.method_name).text(" ").text(head.path);
  if (head.has_query) to.text("?").text(head.query);
  to.text(" HTTP/1.1\r\n");
  if (head.headers.has(HeaderId::Host)) to.field("host", head.headers.get(HeaderId::Host));
  write_fields(to, head.headers, kOwnRequestFields);
  // Of TE only this says something to the next hop (RFC 9110 10.1.4).
  if (framing.connection.starts_with("te")) to.text("te: trailers\r\n");
  write_framing(to, framing);
  to.commit();
}

void write_response_head(OutputBuffer& output, const ResponseHead& head,
                         const HeadFraming& framing) {
  const std::string_view reason = head.reason.empty() ? reason_phrase(head.status) : head.reason;
  BlockWriter to(output, reason.size() + room_for(head.headers, framing));
  to.text("HTTP/1.1 ").number(head.status).text(" ").text(reason).text("\r\n");
  write_fields(to, head.headers, kOwnFields);
  write_framing(to, framing);
  to.commit();
}

}  // namespace tidegate::http::http1
