// SPDX-License-Identifier: Apache-2.0
#include "http/http1/scan.h"

#include <doctest/doctest.h>

#include <string>

namespace tidegate::http::http1 {
namespace {

/// `byte` at `at`, in a text that every search below runs over, ended by a byte that stops it.
std::string text_with(char byte, size_t at) {
  std::string text(48, 'a');
  text[at] = byte;
  text += '\r';
  return text.append(kScanSlack, '\0');
}

TEST_CASE("searches stop at exactly the bytes they are for, wherever these stand") {
  for (int value = 0; value < 256; ++value) {
    const char byte = static_cast<char>(value);
    const bool visible = value > 0x20 && value < 0x7f;
    for (size_t at = 0; at < 48; ++at) {
      std::string text = text_with(byte, at);
      const size_t value_end = is_control(byte) ? at : 48;
      const size_t target_end = !visible || byte == '#' || byte == '?' ? at : 48;
      if (find_value_end(text.data()) != text.data() + value_end ||
          find_target_end(text.data(), '?') != text.data() + target_end) {
        FAIL("byte ", value, " at ", at);
      }
    }
  }
}

TEST_CASE("a line feed is found in every place, and no further than the end") {
  for (size_t size = 0; size < 40; ++size) {
    const std::string none(size, 'a');
    CHECK(find_line_feed(none.data(), none.data() + size) == none.data() + size);
    for (size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '\n';
      text[size - 1] = '\n';
      CHECK(find_line_feed(text.data(), text.data() + size) == text.data() + at);
    }
  }
}

}  // namespace
}  // namespace tidegate::http::http1
