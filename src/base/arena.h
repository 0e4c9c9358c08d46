// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate {

/// Fixed-size blocks reused by the arenas of one worker, so that an exchange in steady state
/// allocates nothing. Not thread-safe.
class ArenaBlocks {
 public:
  static constexpr size_t kBlockSize = 8192;
  static constexpr size_t kKept = 256;

  ArenaBlocks() = default;
  ArenaBlocks(const ArenaBlocks&) = delete;
  ArenaBlocks& operator=(const ArenaBlocks&) = delete;
  ~ArenaBlocks();

  void* take();
  void give(void* block);

 private:
  std::vector<void*> free_;
};

/// Bump allocator for everything that lives as long as one exchange; freed whole. Destructors of
/// what it holds are not run: put only trivially destructible things in it, or destroy them first.
class Arena {
 public:
  explicit Arena(ArenaBlocks& blocks) : blocks_(blocks) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { clear(); }

  void* allocate(size_t size, size_t align = alignof(std::max_align_t)) {
    const auto start = (reinterpret_cast<uintptr_t>(next_) + align - 1) & ~(uintptr_t{align} - 1);
    if (start + size > reinterpret_cast<uintptr_t>(end_)) return allocate_slow(size, align);
    next_ = reinterpret_cast<char*>(start + size);
    return reinterpret_cast<void*>(start);
  }
  template <class T, class... Args>
  T* make(Args&&... args) {
    return new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }
  char* chars(size_t size) { return static_cast<char*>(allocate(size, 1)); }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* to = chars(text.size());
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }
  /// `a` + `b` + `c` in one piece.
  std::string_view join(std::string_view a, std::string_view b, std::string_view c = {});
  void clear();

 private:
  struct Large {
    Large* next;
  };
  void* allocate_slow(size_t size, size_t align);

  ArenaBlocks& blocks_;
  char* next_ = nullptr;
  char* end_ = nullptr;
  void* chain_ = nullptr;     // blocks in use, linked through their first word
  Large* large_ = nullptr;    // allocations too big for a block
};

}  // namespace tidegate
