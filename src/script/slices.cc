// SPDX-License-Identifier: Apache-2.0
#include "script/slices.h"

#include <algorithm>

#include "script/ticks.h"

namespace tidegate::script {
namespace {

constexpr Duration kWork = std::chrono::microseconds(500);

uint64_t to_ticks(Duration time) {
  return static_cast<uint64_t>(static_cast<double>(time.count()) / nanoseconds_per_tick());
}

}  // namespace

Slices::Slices(net::EventLoop& loop) : loop_(loop), per_turn_(to_ticks(kPerTurn)) {}

Slices::~Slices() {
  loop_.forget(*this);
}

void Slices::park(ParkedRun& run, SliceShare& share) {
  if (!share.linked()) {
    share.used_ = std::max(share.used_, floor_);
    shares_.push_back(share);
  }
  share.runs_.push_back(run);
  ask_for_turn();
}

void Slices::schedule(SlicedWork& work) {
  if (!work.linked()) works_.push_back(work);
  ask_for_turn();
}

void Slices::ask_for_turn() {
  idle_ = false;
  loop_.next_turn(*this);
}

void Slices::charge(SliceShare& share, uint64_t ticks) {
  // Time that a policy did not want is not saved up.
  share.used_ = std::max(share.used_, floor_) + ticks;
  if (shares_.empty()) floor_ = share.used_;
}

// Housekeeping and runs take turns at being first, so neither holds the other up for good.
void Slices::on_turn() {
  works_first_ = !works_first_;
  if (works_first_) work_next();
  while (!half_full() && run_next()) {
  }
  if (!works_first_ && !half_full()) work_next();
  idle_ = shares_.empty() && works_.empty();
  if (!idle_) loop_.next_turn(*this);
}

void Slices::work_next() {
  if (works_.empty()) return;
  const uint64_t begin = ticks();
  works_.pop_front().work(kWork);
  spent(ticks() - begin);
}

bool Slices::run_next() {
  SliceShare* share = least_used();
  if (share == nullptr) return false;
  ParkedRun& run = share->runs_.pop_front();
  if (share->runs_.empty()) share->unlink();
  floor_ = std::max(floor_, share->used_);
  run.run_slice();
  return true;
}

SliceShare* Slices::least_used() {
  SliceShare* least = nullptr;
  shares_.for_each([&least](SliceShare& share) {
    if (share.runs_.empty()) return share.unlink();  // the runs that waited were given up
    if (least == nullptr || share.used_ < least->used_) least = &share;
  });
  return least;
}

}  // namespace tidegate::script
