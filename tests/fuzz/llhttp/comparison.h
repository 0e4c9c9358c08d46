// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "fuzz/llhttp/reading.h"

namespace tidegate::llhttp_diff {

/// Reads bytes by the codec and by llhttp. What the codec accepts, llhttp must accept and read the
/// same; what the codec refuses and llhttp accepts must be a known difference, and those are
/// counted.
class Comparison {
 public:
  explicit Comparison(Side side) : side_(side) {}

  /// False: they differ without a known reason; it is printed how.
  bool compare(std::string_view bytes);
  /// Prints the known differences that were met.
  void report() const;

 private:
  bool explain_wider(std::string_view bytes, const Reading& codec, size_t i,
                     const std::string& error, const char* what);
  bool explain_refusal(std::string_view bytes, const Reading& codec, const Reading& other,
                       size_t i);

  Side side_;
  std::map<std::string, size_t> counts_;
};

}  // namespace tidegate::llhttp_diff
