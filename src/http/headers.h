// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/header_id.h"

namespace tidegate::http {

/// One field. Names are lower case; both texts live in the arena of the exchange (or are literals).
struct HeaderField {
  const char* name_data;
  const char* value_data;
  uint32_t name_size;
  uint32_t value_size : 24;  // heads are limited to far less than 16 MiB
  uint32_t id_bits : 8;

  HeaderId id() const { return static_cast<HeaderId>(id_bits); }
  std::string_view name() const { return {name_data, name_size}; }
  std::string_view value() const { return {value_data, value_size}; }
};

/// A set of ids is the sum of their bits.
constexpr uint64_t header_bit(HeaderId id) {
  return uint64_t{1} << static_cast<unsigned>(id);
}

/// The field collection of one head or of trailers, in order of arrival. Memory comes from the
/// arena; values that are set are not copied: the caller keeps them alive as long as the arena does
/// (usually by `arena().copy`). Known names are found by id, others by comparison.
class Headers {
 public:
  explicit Headers(Arena& arena) : arena_(&arena) {}

  Arena& arena() const { return *arena_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const HeaderField* begin() const { return fields_; }
  const HeaderField* end() const { return fields_ + size_; }

  /// Room for `count` fields without further allocation.
  void reserve(size_t count);
  /// Appends. REQUIRES: `name` is a lower-case token, `value` has no CR, LF, NUL.
  [[gnu::always_inline]] void add(HeaderId id, std::string_view name, std::string_view value);
  [[gnu::always_inline]] void add(HeaderId id, std::string_view value) {
    add(id, name_of(id), value);
  }
  void add(std::string_view name, std::string_view value) { add(header_id(name), name, value); }
  /// Replaces the first and removes the rest; appends where there was none.
  void set(HeaderId id, std::string_view value);
  void set(std::string_view name, std::string_view value) { set(header_id(name), name, value); }
  /// For callers that know header_id(name) already.
  void set(HeaderId id, std::string_view name, std::string_view value) {
    may_have(id, name) ? replace(id, name, value) : add(id, name, value);
  }
  /// Removes all fields of that name; the count removed.
  size_t remove(HeaderId id);
  size_t remove(std::string_view name) { return remove(header_id(name), name); }
  size_t remove(HeaderId id, std::string_view name);
  template <class Predicate>
  size_t remove_if(Predicate&& predicate) {
    size_t kept = 0;
    for (size_t i = 0; i < size_; ++i) {
      if (predicate(static_cast<const HeaderField&>(fields_[i]))) continue;
      if (kept != i) fields_[kept] = fields_[i];
      ++kept;
    }
    const size_t removed = size_ - kept;
    size_ = static_cast<uint32_t>(kept);
    if (removed > 0) recount();
    return removed;
  }
  void clear() {
    size_ = 0;
    present_ = other_sizes_ = 0;
  }

  /// First field of that name, or nullptr. REQUIRES (names): lower case.
  const HeaderField* find(HeaderId id) const;
  const HeaderField* find(std::string_view name) const { return find(header_id(name), name); }
  const HeaderField* find(HeaderId id, std::string_view name) const;
  /// First value, or empty.
  std::string_view get(HeaderId id) const {
    const HeaderField* field = find(id);
    return field == nullptr ? std::string_view() : field->value();
  }
  bool has(HeaderId id) const { return (present_ >> static_cast<unsigned>(id)) & 1; }
  /// One of the ids whose bits are set in `ids` is there; see `header_bit`.
  bool has_any(uint64_t ids) const { return (present_ & ids) != 0; }
  size_t count(HeaderId id) const;

 private:
  /// Returns false if no field has that name. True can be stale: see other_sizes_.
  bool may_have(HeaderId id, std::string_view name) const {
    return id != HeaderId::Other ? has(id) : ((other_sizes_ >> (name.size() % 64)) & 1) != 0;
  }
  void replace(HeaderId id, std::string_view name, std::string_view value);
  void recount();
  void grow();

  Arena* arena_;
  HeaderField* fields_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
  uint64_t present_ = 0;  // bit per id; bit 0: names that are not known
  // Bit per size (modulo 64) of names that are not known. It may stay when the last of them goes,
  // and so may bit 0 above.
  uint64_t other_sizes_ = 0;
};

// Inline, since a request and its response take some twenty of them, most with a constant id.
inline void Headers::add(HeaderId id, std::string_view name, std::string_view value) {
  assert(value.size() < 1u << 24);
  assert(!name.empty());
  if (size_ == capacity_) [[unlikely]]
    grow();
  fields_[size_++] =
      HeaderField{name.data(), value.data(), static_cast<uint32_t>(name.size()),
                  static_cast<uint32_t>(value.size()) & 0xff'ffff, static_cast<uint8_t>(id)};
  present_ |= header_bit(id);
  if (id == HeaderId::Other) other_sizes_ |= uint64_t{1} << (name.size() % 64);
}

}  // namespace tidegate::http
