// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <cstdlib>

namespace tidegate {

ArenaBlocks::~ArenaBlocks() {
  for (void* block : free_) std::free(block);
}

void* ArenaBlocks::take() {
  if (free_.empty()) {
    void* block = std::malloc(kBlockSize);
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }
  void* block = free_.back();
  free_.pop_back();
  return block;
}

void ArenaBlocks::give(void* block) {
  if (free_.size() >= kKept) {
    std::free(block);
  } else {
    free_.push_back(block);
  }
}

void* Arena::allocate_slow(size_t size, size_t align) {
  constexpr size_t kHeader = alignof(std::max_align_t);
  if (size + align > ArenaBlocks::kBlockSize / 4) {
    auto* large = static_cast<Large*>(std::malloc(kHeader + size + align));
    if (large == nullptr) throw std::bad_alloc();
    large->next = large_;
    large_ = large;
    const auto start = reinterpret_cast<uintptr_t>(large) + kHeader;
    return reinterpret_cast<void*>((start + align - 1) & ~(uintptr_t{align} - 1));
  }
  void* block = blocks_.take();
  *static_cast<void**>(block) = chain_;
  chain_ = block;
  next_ = static_cast<char*>(block) + kHeader;
  end_ = static_cast<char*>(block) + ArenaBlocks::kBlockSize;
  return allocate(size, align);
}

std::string_view Arena::join(std::string_view a, std::string_view b, std::string_view c) {
  char* to = chars(a.size() + b.size() + c.size());
  char* at = to;
  for (std::string_view part : {a, b, c}) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  return {to, static_cast<size_t>(at - to)};
}

void Arena::clear() {
  while (chain_ != nullptr) {
    void* block = chain_;
    chain_ = *static_cast<void**>(block);
    blocks_.give(block);
  }
  while (large_ != nullptr) {
    Large* large = large_;
    large_ = large->next;
    std::free(large);
  }
  next_ = end_ = nullptr;
}

}  // namespace tidegate
