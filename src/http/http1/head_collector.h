// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "http/http1/head_scan.h"

namespace tidegate::http::http1 {

/// Gathers a whole head, or whole trailers. One that arrives in one piece is given back where it
/// stands; memory is held only between the pieces of one that does not.
class HeadCollector {
 public:
  HeadCollector();
  ~HeadCollector();

  struct Collected {
    HeadStatus status;
    size_t taken;    // of the bytes given
    uint32_t lines;  // field lines, when Complete
    std::string_view
        block;  // when Complete: with the final empty line; until `clear` or the bytes go
  };
  Collected collect(std::string_view bytes, HeadKind kind, const Limits& limits);
  /// Part of a head is here, the rest is not.
  bool waiting() const { return waiting_ != nullptr; }
  void clear();

 private:
  struct Waiting;

  Collected collect_more(std::string_view bytes, const Limits& limits);

  std::unique_ptr<Waiting> waiting_;
};

}  // namespace tidegate::http::http1
