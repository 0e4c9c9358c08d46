// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/reader.h"
#include "config/snapshot.h"

namespace tidegate::config {

/// Judges what one key alone cannot tell: names that must exist or be unique, keys that exclude or
/// need each other, addresses that collide. `reader` has bound `snapshot` and knows every position.
void check(const Snapshot& snapshot, const Reader& reader, Errors& errors);

/// What is wrong with a list of endpoints as a whole, wherever it came from.
struct EndpointFault {
  static constexpr size_t kAll = static_cast<size_t>(-1);
  size_t index;  // kAll: the list
  std::string message;
};
std::vector<EndpointFault> faults_of(const std::vector<Endpoint>& endpoints);

}  // namespace tidegate::config
