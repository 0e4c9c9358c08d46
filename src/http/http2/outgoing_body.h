// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/output_buffer.h"

namespace tidegate::http::http2 {

/// Body bytes of one stream that wait for the flow-control windows: some kept in memory of its own,
/// behind them some lent until the flush. In the common case all go out in the flush that follows,
/// and nothing is copied but short stretches.
class OutgoingBody {
 public:
  size_t size() const { return kept_.size() - at_ + lent_.size(); }
  bool empty() const { return size() == 0; }

  /// Lends `bytes` until the next `keep`. REQUIRES: no flush is under way that took from here.
  void append(std::string_view bytes) {
    if (!lent_.empty()) keep();
    lent_ = bytes;
  }
  /// Moves the first `count` bytes into `to`, which may borrow them until it is consumed or
  /// settled. Kept memory that has been taken whole goes to `spent`, where it stays alive until
  /// then. True: bytes that are still here as well were borrowed. REQUIRES: count <= size().
  bool take(size_t count, OutputBuffer& to, std::string& spent);
  /// Copies what is lent.
  void keep();
  void clear();
  /// There are bytes that `keep` would copy.
  bool lends() const { return !lent_.empty(); }
  /// The kept memory, for a body that goes while the output still borrows from it.
  std::string release() { return std::move(kept_); }

 private:
  std::string kept_;
  size_t at_ = 0;  // what stands before it has been taken
  std::string_view lent_;
};

}  // namespace tidegate::http::http2
