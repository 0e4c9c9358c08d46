// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "proxy/filter.h"

namespace tidegate::proxy {

/// The ordered filters of one route, each in the generation that was current when the chain was
/// built. Immutable; an exchange pins the chain it began with, so it sees one generation of each
/// script from beginning to end. Counted, since one thread owns all users.
class FilterChain {
 public:
  FilterChain(FilterSource& source, std::span<const std::string> policies);
  FilterChain(const FilterChain&) = delete;
  FilterChain& operator=(const FilterChain&) = delete;

  const std::vector<Filter*>& filters() const { return filters_; }
  /// What at least one filter has.
  HookSet hooks() const { return hooks_; }

  FilterChain* pin() {
    ++pins_;
    return this;
  }
  /// The last one destroys the chain.
  void unpin() {
    if (--pins_ == 0) delete this;
  }

 private:
  ~FilterChain();

  FilterSource& source_;
  std::vector<Filter*> filters_;
  HookSet hooks_ = 0;
  uint32_t pins_ = 1;
};

}  // namespace tidegate::proxy
