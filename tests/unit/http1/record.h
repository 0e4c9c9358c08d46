// SPDX-License-Identifier: Apache-2.0
// Message events as text, so that a test compares sentences, and so that the same bytes split
// otherwise can be compared at all: consecutive body events are one.
#pragma once
#include <string>
#include <string_view>

#include "base/output_buffer.h"
#include "http/message.h"

namespace tidegate::http::http1 {

/// "{host: a, x: 1}", or "" when there are none.
std::string describe_fields(const Headers& headers);
/// "GET /a?b from example.com {host: example.com}", and what else the head says.
std::string describe_head(const RequestHead& head);
/// "200 OK {server: x} sized 5"
std::string describe_head(const ResponseHead& head);
/// All that waits to be written, taken out.
std::string take_output(OutputBuffer& output);

class Record {
 public:
  void event(std::string_view line);
  void body(std::string_view bytes);
  void end(const Headers& trailers);
  /// The events so far, one a line.
  const std::string& text() const { return text_; }
  void clear() {
    text_.clear();
    in_body_ = false;
  }

 private:
  std::string text_;
  bool in_body_ = false;
};

}  // namespace tidegate::http::http1
