// SPDX-License-Identifier: Apache-2.0
#include "http/http2/outgoing_body.h"

#include <algorithm>
#include <cassert>

namespace tidegate::http::http2 {

bool OutgoingBody::take(size_t count, OutputBuffer& to, std::string& spent) {
  assert(count <= size());
  bool shared = false;
  const size_t from_kept = std::min(count, kept_.size() - at_);
  if (from_kept > 0) {
    if (at_ + from_kept < kept_.size()) {
      to.borrow({kept_.data() + at_, from_kept});
      at_ += from_kept;
      shared = true;
    } else {
      // A short text moves with its object, so it is copied to where it will stand.
      spent = std::move(kept_);
      to.borrow({spent.data() + at_, from_kept});
      kept_.clear();
      at_ = 0;
    }
  }
  const size_t from_lent = count - from_kept;
  to.borrow(lent_.substr(0, from_lent));
  lent_.remove_prefix(from_lent);
  return shared;
}

void OutgoingBody::keep() {
  if (lent_.empty()) return;
  if (at_ > kept_.size() / 2) {
    kept_.erase(0, at_);
    at_ = 0;
  }
  kept_.append(lent_);
  lent_ = {};
}

void OutgoingBody::clear() {
  kept_ = std::string();  // `= {}` would keep the memory
  at_ = 0;
  lent_ = {};
}

}  // namespace tidegate::http::http2
