// SPDX-License-Identifier: Apache-2.0
#include "http/http1/body_reader.h"

#include "http/http1/field_parser.h"

namespace tidegate::http::http1 {

BodyReader::Step BodyReader::next(std::string_view bytes, Trailers trailers) {
  switch (kind_) {
    case Kind::Sized: {
      const std::string_view data = bytes.substr(0, left_);
      left_ -= data.size();
      return {left_ == 0 ? Status::End : Status::More, data.size(), data};
    }
    case Kind::Chunked: {
      const ChunkedDecoder::Step step = chunks_.next(bytes);
      if (step.status == ChunkedDecoder::Status::Bad) return {Status::Bad, step.taken, {}};
      if (step.status == ChunkedDecoder::Status::Trailers) kind_ = Kind::Trailers;
      return {Status::More, step.taken, step.data};
    }
    case Kind::Trailers:
      return next_trailers(bytes, trailers);
    case Kind::ToClose:
      break;
  }
  return {Status::More, bytes.size(), bytes};
}

BodyReader::Step BodyReader::next_trailers(std::string_view bytes, Trailers trailers) {
  const auto found = trailers.collector.collect(bytes, HeadKind::Trailers, trailers.limits);
  switch (found.status) {
    case HeadStatus::More:
      return {Status::More, found.taken, {}};
    case HeadStatus::Complete: {
      const FieldFilter filter =
          trailers.limits.underscores ? FieldFilter::Keep : FieldFilter::DropUnderscores;
      const bool good =
          trailers.fields == nullptr ||
          parse_trailers(found.block, found.lines, {filter, trailers.message}, *trailers.fields);
      trailers.collector.clear();
      return {good ? Status::End : Status::Bad, found.taken, {}};
    }
    case HeadStatus::LineTooLong:
    case HeadStatus::FieldsTooLarge:
      return {Status::TooLarge, found.taken, {}};
    case HeadStatus::Malformed:
      break;
  }
  return {Status::Bad, found.taken, {}};
}

}  // namespace tidegate::http::http1
