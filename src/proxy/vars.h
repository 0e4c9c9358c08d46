// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>
#include <variant>

#include "base/arena.h"

namespace tidegate::proxy {

/// The values that all policies of one exchange share (`request.vars`). They are plain values, since
/// policies live in different VMs. Texts are copied to the exchange's arena.
class Vars {
 public:
  using Value = std::variant<std::monostate, bool, double, std::string_view>;
  struct Entry {
    std::string_view name;
    Value value;
    Entry* next;
  };

  explicit Vars(Arena& arena) : arena_(arena) {}

  Value get(std::string_view name) const {
    for (const Entry* e = first_; e != nullptr; e = e->next) {
      if (e->name == name) return e->value;
    }
    return {};
  }
  void set(std::string_view name, Value value) {
    if (auto* text = std::get_if<std::string_view>(&value)) *text = arena_.copy(*text);
    for (Entry* e = first_; e != nullptr; e = e->next) {
      if (e->name == name) {
        e->value = value;
        return;
      }
    }
    first_ = arena_.make<Entry>(Entry{arena_.copy(name), value, first_});
  }
  /// Newest first.
  const Entry* first() const { return first_; }

 private:
  Arena& arena_;
  Entry* first_ = nullptr;
};

}  // namespace tidegate::proxy
