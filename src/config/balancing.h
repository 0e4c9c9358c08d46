// SPDX-License-Identifier: Apache-2.0
// How a cluster's endpoints are chosen among, as structs of the configuration; see snapshot.h.
#pragma once
#include <cstdint>
#include <string>

namespace tidegate::config {

/// What of a request `consistent_hash` hashes.
struct HashOn {
  enum class Kind : uint8_t { ClientIp, Path, Header, Cookie, Query };
  Kind kind = Kind::ClientIp;
  std::string name;  // of the header (lower case), cookie or query argument
  bool operator==(const HashOn&) const = default;
};

/// Endpoints with this tag come first.
struct Locality {
  std::string tag;
  std::string value;
  double min_available = 0.7;  // with a smaller share of them available, all endpoints are used
};

}  // namespace tidegate::config
