// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/arena.h"
#include "http/headers.h"

namespace tidegate::http {

/// Fields as a test writes them.
using FieldList = std::initializer_list<std::pair<std::string_view, std::string_view>>;

struct ArenaFixture {
  ArenaBlocks blocks;
  Arena arena{blocks};
};

inline void add_all(Headers& headers, FieldList fields) {
  for (const auto& [name, value] : fields) headers.add(name, value);
}

/// "name: value" lines, in order.
inline std::string text_of(const Headers& headers) {
  std::string text;
  for (const HeaderField& field : headers) {
    text.append(field.name()).append(": ").append(field.value()).append("\n");
  }
  return text;
}

}  // namespace tidegate::http
