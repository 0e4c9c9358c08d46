// SPDX-License-Identifier: Apache-2.0
#include "http/http2/memory.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace tidegate::http::http2 {
namespace {

constexpr size_t kStep = 64;     // between classes of sizes
constexpr size_t kClasses = 17;  // up to 1 KiB and what stands before it
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TIDEGATE_ADDRESS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define TIDEGATE_ADDRESS_SANITIZER 1
#endif
#ifdef TIDEGATE_ADDRESS_SANITIZER
constexpr uint32_t kKept = 0;  // so that it sees what is used after it was given back
#else
constexpr uint32_t kKept = 128;  // blocks of each class
#endif

/// Stands before each block; as large as the alignment that any block needs.
struct alignas(std::max_align_t) Header {
  size_t index;  // of its class; kClasses: of none
};
static_assert(sizeof(Header) == alignof(std::max_align_t));

struct Free {
  Free* next;
};

class FreeLists {
 public:
  ~FreeLists() {
    for (Class& c : classes_) {
      while (c.first != nullptr) std::free(pop(c));
    }
  }

  void* take(size_t size) {
    const size_t index = (size + sizeof(Header) + kStep - 1) / kStep;
    void* block;
    if (index < kClasses && classes_[index].first != nullptr) {
      block = pop(classes_[index]);
    } else {
      block = std::malloc(index < kClasses ? index * kStep : size + sizeof(Header));
      if (block == nullptr) return nullptr;
    }
    auto* header = static_cast<Header*>(block);
    header->index = index < kClasses ? index : kClasses;
    return header + 1;
  }

  void give(void* at) {
    if (at == nullptr) return;
    Header* const header = static_cast<Header*>(at) - 1;
    if (header->index == kClasses || classes_[header->index].count >= kKept) {
      return std::free(header);
    }
    Class& c = classes_[header->index];
    auto* block = reinterpret_cast<Free*>(header);
    block->next = c.first;
    c.first = block;
    ++c.count;
  }

  void* resize(void* at, size_t size) {
    if (at == nullptr) return take(size);
    Header* const header = static_cast<Header*>(at) - 1;
    if (header->index == kClasses) {
      auto* moved = static_cast<Header*>(std::realloc(header, size + sizeof(Header)));
      return moved == nullptr ? nullptr : moved + 1;
    }
    const size_t room = header->index * kStep - sizeof(Header);
    if (size <= room) return at;
    void* const moved = take(size);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, at, room);
    give(at);
    return moved;
  }

 private:
  struct Class {
    Free* first = nullptr;
    uint32_t count = 0;
  };

  static void* pop(Class& c) {
    Free* const block = c.first;
    c.first = block->next;
    --c.count;
    return block;
  }

  std::array<Class, kClasses> classes_{};
};

FreeLists& lists() {
  thread_local FreeLists lists;
  return lists;
}

void* take(size_t size, void*) {
  return lists().take(size);
}
void give(void* block, void*) {
  lists().give(block);
}
void* resize(void* block, size_t size, void*) {
  return lists().resize(block, size);
}
void* take_zeroed(size_t count, size_t size, void*) {
  void* const block = lists().take(count * size);
  return block == nullptr ? nullptr : std::memset(block, 0, count * size);
}

}  // namespace

nghttp2_mem* session_memory() {
  static nghttp2_mem memory{nullptr, take, give, take_zeroed, resize};
  return &memory;
}

}  // namespace tidegate::http::http2
