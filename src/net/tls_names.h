// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tidegate::net {

/// Which certificate serves which name: exact names before wildcards ("*.example.com" stands for
/// one label, RFC 6125 6.4.3); of certificates with the same name, the first added. Names are
/// compared without regard to case.
class TlsNames {
 public:
  void add(std::string_view name, size_t certificate);
  std::optional<size_t> find(std::string_view host) const;

 private:
  std::unordered_map<std::string, size_t> exact_;
  std::unordered_map<std::string, size_t> wildcards_;  // by what follows "*."
};

}  // namespace tidegate::net
