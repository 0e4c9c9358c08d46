// SPDX-License-Identifier: Apache-2.0
#include "http/headers.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <type_traits>

namespace tidegate::http {
namespace {

constexpr uint32_t kInitialCapacity = 16;
constexpr uint32_t kMaxValue = (1u << 24) - 1;
static_assert(std::is_trivially_copyable_v<HeaderField>);

bool is_other(const HeaderField& field, std::string_view name) {
  return field.name_size == name.size() && field.id() == HeaderId::Other &&
         std::memcmp(field.name_data, name.data(), name.size()) == 0;
}

}  // namespace

void Headers::reserve(size_t count) {
  if (count <= capacity_) return;
  auto* fields = static_cast<HeaderField*>(
      arena_->allocate(count * sizeof(HeaderField), alignof(HeaderField)));
  if (size_ > 0) std::memcpy(fields, fields_, size_ * sizeof(HeaderField));
  fields_ = fields;
  capacity_ = static_cast<uint32_t>(count);
}

void Headers::grow() {
  reserve(std::max(kInitialCapacity, capacity_ * 2));
}

const HeaderField* Headers::find(HeaderId id) const {
  if (!has(id)) return nullptr;
  for (const HeaderField& field : *this) {
    if (field.id() == id) return &field;
  }
  return nullptr;
}

const HeaderField* Headers::find(HeaderId id, std::string_view name) const {
  if (id != HeaderId::Other) return find(id);
  if (((other_sizes_ >> (name.size() % 64)) & 1) == 0) return nullptr;
  for (const HeaderField& field : *this) {
    if (is_other(field, name)) return &field;
  }
  return nullptr;
}

void Headers::set(HeaderId id, std::string_view value) {
  assert(id != HeaderId::Other);
  assert(value.size() <= kMaxValue);
  const HeaderField* first = find(id);
  if (first == nullptr) return add(id, value);
  HeaderField& field = fields_[first - fields_];
  field.value_data = value.data();
  field.value_size = static_cast<uint32_t>(value.size()) & kMaxValue;
  remove_if([&](const HeaderField& f) { return &f > &field && f.id() == id; });
}

void Headers::replace(HeaderId id, std::string_view name, std::string_view value) {
  if (id != HeaderId::Other) return set(id, value);
  assert(value.size() <= kMaxValue);
  const HeaderField* first = find(id, name);
  if (first == nullptr) return add(id, name, value);
  HeaderField& field = fields_[first - fields_];
  field.value_data = value.data();
  field.value_size = static_cast<uint32_t>(value.size()) & kMaxValue;
  remove_if([&](const HeaderField& f) { return &f > &field && is_other(f, name); });
}

size_t Headers::remove(HeaderId id) {
  if (!has(id)) return 0;
  return remove_if([id](const HeaderField& field) { return field.id() == id; });
}

size_t Headers::remove(HeaderId id, std::string_view name) {
  if (id != HeaderId::Other) return remove(id);
  const HeaderField* first = find(id, name);
  if (first == nullptr) return 0;
  const size_t before = size_;
  auto kept = static_cast<size_t>(first - fields_);
  for (size_t i = kept + 1; i < before; ++i) {
    if (!is_other(fields_[i], name)) fields_[kept++] = fields_[i];
  }
  size_ = static_cast<uint32_t>(kept);
  return before - kept;
}

size_t Headers::count(HeaderId id) const {
  if (!has(id)) return 0;
  return static_cast<size_t>(
      std::count_if(begin(), end(), [id](const HeaderField& field) { return field.id() == id; }));
}

void Headers::recount() {
  present_ = 0;
  for (const HeaderField& field : *this) present_ |= header_bit(field.id());
}

}  // namespace tidegate::http
