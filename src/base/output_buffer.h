// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

namespace tidegate {

/// What waits to be written on one connection: bytes of its own and stretches borrowed from
/// somebody else (a read buffer, an arena). Taken from a worker's pool when bytes come, given back
/// when they have gone.
struct OutputBlock {
  struct Segment {
    const char* borrowed;  // nullptr: own bytes at `offset`
    size_t offset;
    size_t length;
  };
  static constexpr size_t kSegments = 16;

  char* data = nullptr;
  size_t capacity = 0;
  size_t used = 0;
  size_t pending = 0;  // bytes in all segments
  size_t first = 0;    // segments [first, last) wait
  size_t last = 0;
  bool borrows = false;  // a stretch was borrowed since the block was taken
  std::array<Segment, kSegments> segments;
};

/// Output blocks reused by the connections of one worker. Not thread-safe.
class OutputBlocks {
 public:
  static constexpr size_t kInitial = 4096;
  static constexpr size_t kKeptCapacity = 65536;  // a block that grew past this is freed
  static constexpr size_t kKept = 64;

  OutputBlocks() = default;
  OutputBlocks(const OutputBlocks&) = delete;
  OutputBlocks& operator=(const OutputBlocks&) = delete;
  ~OutputBlocks();

  OutputBlock* take();
  void give(OutputBlock* block);

 private:
  std::vector<OutputBlock*> free_;
};

/// The output side of one connection. Codecs append to it, the connection flushes it. Holds no
/// memory while nothing waits.
class OutputBuffer {
 public:
  explicit OutputBuffer(OutputBlocks& blocks) : blocks_(blocks) {}
  OutputBuffer(const OutputBuffer&) = delete;
  OutputBuffer& operator=(const OutputBuffer&) = delete;
  ~OutputBuffer() { clear(); }

  /// Bytes that wait.
  size_t size() const { return block_ == nullptr ? 0 : block_->pending; }
  bool empty() const { return block_ == nullptr; }

  /// Room for `size` bytes of own memory; write there, then `commit` what was written. The pointer
  /// is good until the next call.
  char* reserve(size_t size);
  void commit(size_t size);
  void append(std::string_view bytes);
  void append(char byte) { append(std::string_view(&byte, 1)); }
  /// Bytes that stay where they are until the next `consume` or `settle`; short ones are copied,
  /// since a segment more costs the kernel more than the copy.
  void borrow(std::string_view bytes);

  /// The waiting bytes for writev. REQUIRES: !empty().
  size_t gather(std::array<iovec, OutputBlock::kSegments>& to) const;
  /// `written` bytes have gone.
  void consume(size_t written);
  /// Copies what is still borrowed, because its owner is about to reuse it.
  void settle();
  void clear();

 private:
  void add_segment(const char* borrowed, size_t offset, size_t length);
  void grow(size_t need);

  OutputBlocks& blocks_;
  OutputBlock* block_ = nullptr;
};

}  // namespace tidegate
