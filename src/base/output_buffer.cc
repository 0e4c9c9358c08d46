// SPDX-License-Identifier: Apache-2.0
#include "base/output_buffer.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tidegate {
namespace {

constexpr size_t kBorrowFrom = 2048;

void free_block(OutputBlock* block) {
  std::free(block->data);
  delete block;
}

}  // namespace

OutputBlocks::~OutputBlocks() {
  for (OutputBlock* block : free_) free_block(block);
}

OutputBlock* OutputBlocks::take() {
  if (!free_.empty()) {
    OutputBlock* block = free_.back();
    free_.pop_back();
    return block;
  }
  auto* block = new OutputBlock;
  block->data = static_cast<char*>(std::malloc(kInitial));
  if (block->data == nullptr) throw std::bad_alloc();
  block->capacity = kInitial;
  return block;
}

void OutputBlocks::give(OutputBlock* block) {
  if (block->capacity > kKeptCapacity || free_.size() >= kKept) {
    free_block(block);
    return;
  }
  block->used = block->pending = block->first = block->last = 0;
  block->borrows = false;
  free_.push_back(block);
}

void OutputBuffer::grow(size_t need) {
  const size_t capacity = std::max(need, block_->capacity * 2);
  auto* data = static_cast<char*>(std::realloc(block_->data, capacity));
  if (data == nullptr) throw std::bad_alloc();
  block_->data = data;
  block_->capacity = capacity;
}

char* OutputBuffer::reserve(size_t size) {
  if (block_ == nullptr) block_ = blocks_.take();
  if (block_->used + size > block_->capacity) grow(block_->used + size);
  return block_->data + block_->used;
}

void OutputBuffer::commit(size_t size) {
  if (size == 0) {
    if (block_ != nullptr && block_->pending == 0) clear();
    return;
  }
  add_segment(nullptr, block_->used, size);
  block_->used += size;
}

void OutputBuffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
  commit(bytes.size());
}

void OutputBuffer::borrow(std::string_view bytes) {
  if (bytes.size() < kBorrowFrom) return append(bytes);
  if (block_ == nullptr) block_ = blocks_.take();
  block_->borrows = true;
  add_segment(bytes.data(), 0, bytes.size());
}

void OutputBuffer::add_segment(const char* borrowed, size_t offset, size_t length) {
  OutputBlock& block = *block_;
  if (block.last > block.first && borrowed == nullptr) {
    OutputBlock::Segment& tail = block.segments[block.last - 1];
    if (tail.borrowed == nullptr && tail.offset + tail.length == offset) {
      tail.length += length;
      block.pending += length;
      return;
    }
  }
  if (block.last == OutputBlock::kSegments) {
    // Fold everything into own bytes. An own stretch not yet counted stands at `offset`.
    const std::string_view fresh(borrowed == nullptr ? block.data + offset : borrowed, length);
    const size_t total = block.pending + length;
    auto* data = static_cast<char*>(std::malloc(std::max(total * 2, OutputBlocks::kInitial)));
    if (data == nullptr) throw std::bad_alloc();
    size_t at = 0;
    for (size_t i = block.first; i < block.last; ++i) {
      const auto& s = block.segments[i];
      std::memcpy(data + at, s.borrowed == nullptr ? block.data + s.offset : s.borrowed, s.length);
      at += s.length;
    }
    std::memcpy(data + at, fresh.data(), fresh.size());
    std::free(block.data);
    block.data = data;
    block.capacity = std::max(total * 2, OutputBlocks::kInitial);
    // commit() adds an own stretch's length to `used` after this call.
    block.used = borrowed == nullptr ? total - length : total;
    block.pending = total;
    block.first = 0;
    block.last = 1;
    block.segments[0] = {nullptr, 0, total};
    return;
  }
  block.segments[block.last++] = {borrowed, offset, length};
  block.pending += length;
}

size_t OutputBuffer::gather(std::array<iovec, OutputBlock::kSegments>& to) const {
  size_t count = 0;
  for (size_t i = block_->first; i < block_->last; ++i) {
    const auto& s = block_->segments[i];
    const char* from = s.borrowed == nullptr ? block_->data + s.offset : s.borrowed;
    to[count++] = {const_cast<char*>(from), s.length};
  }
  return count;
}

void OutputBuffer::consume(size_t written) {
  assert(written <= size());
  if (block_ == nullptr) return;
  block_->pending -= written;
  if (block_->pending == 0) return clear();
  while (written > 0) {
    auto& s = block_->segments[block_->first];
    const size_t part = std::min(written, s.length);
    if (s.borrowed != nullptr) {
      s.borrowed += part;
    } else {
      s.offset += part;
    }
    s.length -= part;
    written -= part;
    if (s.length == 0) ++block_->first;
  }
}

void OutputBuffer::settle() {
  if (block_ == nullptr) return;
  const bool all_own =
      !block_->borrows ||
      std::all_of(block_->segments.begin() + block_->first, block_->segments.begin() + block_->last,
                  [](const auto& s) { return s.borrowed == nullptr; });
  // Own bytes that have been written already are given up once they are the greater part, so that
  // a connection that never drains fully does not grow without end.
  if (all_own && block_->used < 2 * block_->pending + OutputBlocks::kInitial) return;
  OutputBlock* old = block_;
  block_ = blocks_.take();
  if (old->pending > block_->capacity) grow(old->pending);
  for (size_t i = old->first; i < old->last; ++i) {
    const auto& s = old->segments[i];
    append({s.borrowed == nullptr ? old->data + s.offset : s.borrowed, s.length});
  }
  blocks_.give(old);
}

void OutputBuffer::clear() {
  if (block_ == nullptr) return;
  blocks_.give(block_);
  block_ = nullptr;
}

}  // namespace tidegate
