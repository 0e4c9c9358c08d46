// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace tidegate::config {

/// Who is reached without an outbound proxy, as NO_PROXY lists them: `example.com` or
/// `.example.com` (the host and all below it), an address, a CIDR block, any of them with `:port`,
/// or `*` for all.
class NoProxy {
 public:
  /// Adds one entry; an error says what is wrong with it.
  Fallible<void> add(std::string_view entry);
  /// `host`: a name in lower case, or an address without brackets.
  bool matches(std::string_view host, uint16_t port) const;

 private:
  struct Entry {
    std::string name;  // of a host; empty: not a name
    std::optional<Cidr> block;
    uint16_t port = 0;  // 0: any
  };
  std::vector<Entry> entries_;
  bool all_ = false;
};

}  // namespace tidegate::config
