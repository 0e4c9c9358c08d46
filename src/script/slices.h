// SPDX-License-Identifier: Apache-2.0
// Who may run Lua in this turn of the loop. A run that takes long, or comes when the turn has had
// its share of Lua already, is parked and goes on in a later turn; so a neighbour waits for a
// slice, not for a budget.
#pragma once
#include <cstdint>

#include "base/clock.h"
#include "base/intrusive_list.h"
#include "net/event_loop.h"

namespace tidegate::script {

class SliceShare;

/// A run that waits for its next slice. Stands in the list of its policy's share.
class ParkedRun : public ListNode<ParkedRun> {
 public:
  /// Goes on. It may park itself again.
  virtual void run_slice() = 0;
  /// The collection that it waited for has ended.
  virtual void collected() = 0;

 protected:
  ~ParkedRun() = default;
};

/// A policy's part in a worker's Slices. Lives as long as any of its runs is parked.
class SliceShare : public ListNode<SliceShare> {
 public:
  ~SliceShare() = default;

 private:
  friend class Slices;
  List<ParkedRun> runs_;
  uint64_t used_ = 0;  // ticks of Lua in long runs
};

/// Housekeeping that takes slices too (a collection, the loading of a script): it goes on once per
/// turn, and takes `most` or a little more.
class SlicedWork : public ListNode<SlicedWork> {
 public:
  virtual void work(Duration most) = 0;

 protected:
  ~SlicedWork() = default;
};

/// The Lua time of one worker. Parked runs have their turn before the sockets do: first the policy
/// that has used least. Used in the worker's thread.
class Slices final : private net::TurnWork {
 public:
  /// After so much Lua no further run begins in the turn.
  static constexpr Duration kPerTurn = std::chrono::milliseconds(1);

  explicit Slices(net::EventLoop& loop);
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;
  ~Slices();

  /// A run of that policy must not begin now, but park: the turn is full, or others of its policy
  /// wait already.
  bool must_wait(const SliceShare& share) const {
    return (spent_ > per_turn_ && turn_ == loop_.turns()) || !share.runs_.empty();
  }
  /// A run took so many ticks.
  void spent(uint64_t ticks) {
    if (turn_ != loop_.turns()) {
      turn_ = loop_.turns();
      spent_ = 0;
    }
    spent_ += ticks;
  }
  /// A long run of that policy took so many ticks: others go before it.
  void charge(SliceShare& share, uint64_t ticks);
  /// `run` goes on in a later turn, behind the others of its policy.
  void park(ParkedRun& run, SliceShare& share);
  /// `work` is called in the next turn. Not again, unless it asks again.
  void schedule(SlicedWork& work);
  /// No run and no work waits.
  bool idle() const { return idle_; }

 private:
  void on_turn() override;
  bool half_full() const { return turn_ == loop_.turns() && spent_ > per_turn_ / 2; }
  void work_next();
  bool run_next();
  SliceShare* least_used();
  void ask_for_turn();

  net::EventLoop& loop_;
  const uint64_t per_turn_;  // ticks
  uint64_t turn_ = 0;
  uint64_t spent_ = 0;  // in that turn
  uint64_t floor_ = 0;  // what the share served last had used
  bool idle_ = true;
  bool works_first_ = false;  // runs and work take turns at being first
  List<SliceShare> shares_;   // with parked runs
  List<SlicedWork> works_;
};

}  // namespace tidegate::script
