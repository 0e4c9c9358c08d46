// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>

namespace tidegate::script {

/// What one HookCall makes the proxy hold until its exchange ends: texts that its script has set,
/// bodies that it has read. It is part of a sum for the policy in this worker, which
/// `budget.memory` limits. During a run only the call counts, so that setting a header costs one
/// addition.
class HeldBytes {
 public:
  /// A run begins; the policy holds `all`, of `cap` bytes that it may.
  void begin_run(size_t all, size_t cap) {
    before_ = bytes_;
    limit_ = bytes_ + (all < cap ? cap - all : 0);
  }
  /// It has ended; `all` learns of it.
  void end_run(size_t& all) const { all += bytes_ - before_; }

  /// During a run. False: the policy holds too much.
  [[nodiscard]] bool add(size_t bytes) {
    bytes_ += bytes;
    return bytes_ <= limit_;
  }
  /// Between runs.
  void add(size_t bytes, size_t& all) {
    bytes_ += bytes;
    all += bytes;
  }
  /// The exchange has ended.
  void give_back(size_t& all) {
    all -= bytes_;
    bytes_ = 0;
  }

 private:
  size_t bytes_ = 0;
  size_t before_ = 0;  // the run
  size_t limit_ = 0;
};

}  // namespace tidegate::script
