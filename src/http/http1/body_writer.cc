// SPDX-License-Identifier: Apache-2.0
#include "http/http1/body_writer.h"

#include <cassert>

#include "http/header_table.h"

namespace tidegate::http::http1 {
namespace {

constexpr size_t kChunkExtra = 20;    // 16 digits and two CRLF
constexpr size_t kInOnePiece = 2048;  // below it, copying is cheaper than borrowing

void write_chunk(OutputBuffer& output, std::string_view bytes) {
  const bool whole = bytes.size() < kInOnePiece;
  BlockWriter to(output, kChunkExtra + (whole ? bytes.size() : 0));
  to.number(bytes.size(), 16).text("\r\n");
  if (whole) {
    to.text(bytes).text("\r\n").commit();
    return;
  }
  to.commit();
  output.borrow(bytes);
  output.append("\r\n");
}

// Whatever a script has set: what frames messages stands in heads.
constexpr uint64_t kNoTrailers =
    headers_with(kFraming | kOneConnection) | header_bit(HeaderId::Trailer);

void write_last_chunk(OutputBuffer& output, const Headers& trailers) {
  size_t room = 5;
  for (const HeaderField& field : trailers) room += field.name_size + field.value_size + 4;
  BlockWriter to(output, room);
  to.text("0\r\n");
  for (const HeaderField& field : trailers) {
    if ((kNoTrailers & header_bit(field.id())) == 0) to.field(field.name(), field.value());
  }
  to.text("\r\n").commit();
}

}  // namespace

void BodyWriter::write(OutputBuffer& output, std::string_view bytes) {
  switch (framing_) {
    case Framing::None:
      return;
    case Framing::Sized:
      assert(bytes.size() <= left_);
      bytes = bytes.substr(0, left_);
      left_ -= bytes.size();
      break;
    case Framing::Chunked:
      // An empty chunk would end the body.
      if (!bytes.empty()) write_chunk(output, bytes);
      return;
    case Framing::Raw:
      break;
  }
  if (!bytes.empty()) output.borrow(bytes);
}

bool BodyWriter::end(OutputBuffer& output, const Headers& trailers) {
  if (framing_ == Framing::Chunked) write_last_chunk(output, trailers);
  framing_ = Framing::None;
  return left_ == 0;
}

}  // namespace tidegate::http::http1
