// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "http/message.h"

namespace tidegate::http::http2 {

/// The fields of a head in the form that nghttp2 takes, in the arena of that head.
struct FieldSpan {
  nghttp2_nv* data;
  size_t size;
};

/// How a request goes out.
struct RequestForm {
  std::string_view scheme;  // of the connection
  bool tunnel;              // extended CONNECT (RFC 8441)
};

FieldSpan request_fields(const RequestHead& head, const RequestForm& form);
struct ResponseForm {
  uint16_t status;  // may differ from the head's: a tunnel begins with 200
  bool announces_length;
};
FieldSpan response_fields(const ResponseHead& head, const ResponseForm& form);
FieldSpan trailer_fields(const Headers& trailers);

/// Fields that outlive the head they came from: trailers behind a body that waits.
class FieldList {
 public:
  explicit FieldList(const Headers& fields);
  FieldSpan span() { return {fields_.data(), fields_.size()}; }

 private:
  std::string texts_;
  std::vector<nghttp2_nv> fields_;
};

}  // namespace tidegate::http::http2
