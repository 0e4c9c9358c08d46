// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cassert>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/output_buffer.h"
#include "http/message.h"

namespace tidegate::http::http1 {

/// Writes one block straight into an output buffer, whose room was measured before: no check for
/// room while writing.
class BlockWriter {
 public:
  BlockWriter(OutputBuffer& output, size_t room)
      : output_(output), begin_(output.reserve(room)), at_(begin_), end_(begin_ + room) {}

  BlockWriter& text(std::string_view text) {
    assert(text.size() <= static_cast<size_t>(end_ - at_));
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  BlockWriter& field(std::string_view name, std::string_view value) {
    return text(name).text(": ").text(value).text("\r\n");
  }
  BlockWriter& number(uint64_t number, int base = 10) {
    at_ = std::to_chars(at_, end_, number, base).ptr;
    return *this;
  }
  void commit() { output_.commit(static_cast<size_t>(at_ - begin_)); }

 private:
  OutputBuffer& output_;
  char* const begin_;
  char* at_;
  char* const end_;
};

/// How the end of a body is told to the peer.
enum class Framing : uint8_t {
  None,     // there is no body, and nothing is said of it
  Sized,    // Content-Length
  Chunked,  // Transfer-Encoding: chunked
  Raw,      // bytes as they are, until the connection ends: a tunnel, or an HTTP/1.0 client
};

struct HeadFraming {
  Framing framing = Framing::None;
  uint64_t length = 0;            // when Sized, or when `announces_length`
  bool announces_length = false;  // Content-Length although no body follows (HEAD, 304)
  std::string_view connection;    // value of Connection, or empty
  std::string_view upgrade;       // value of Upgrade, or empty
};

/// Both write the fields of `head` but for those that concern this connection only, then those that
/// `framing` says.
void write_request_head(OutputBuffer& output, const RequestHead& head, const HeadFraming& framing);
void write_response_head(OutputBuffer& output, const ResponseHead& head,
                         const HeadFraming& framing);

}  // namespace tidegate::http::http1
