// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "telemetry/cells.h"
#include "telemetry/families.h"

namespace prometheus {
struct MetricFamily;
}

namespace tidegate::telemetry {

class Registry;
using Labels = std::initializer_list<std::string_view>;

/// One label set of a family, in all threads.
struct Series {
  std::vector<std::string> labels;
  size_t number = 0;                // of its cells in each shard
  std::atomic<uint32_t> leases{0};  // those who count in it, or may
  bool stays = false;               // somebody counts in it without a lease
  TimePoint unused_since{};         // as the registry has noticed; the epoch: it is used
};

/// Keeps the cells that were asked for with it; when the last lease of a series has gone, its cells
/// go too, after a grace. Any thread may let go of it, at the cost of one atomic per series.
class Lease {
 public:
  Lease() = default;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    // Everything that was counted is in the cells before they are seen as free.
    for (Series* one : series_) one->leases.fetch_sub(1, std::memory_order_release);
  }

 private:
  friend class Shard;
  void take(Series& series);
  std::vector<Series*> series_;
};

/// The cells of one thread. Owned by the Registry, and good as long as the lease that they were
/// asked for with, or, without one, as long as the registry. Asking for a cell takes a lock: do it
/// at set-up and reload, never on the data path. Equal labels give the same cell.
class Shard {
 public:
  explicit Shard(Registry& registry) : registry_(registry) {}
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // REQUIRES: the kind is that of the family; labels.size() == fixed_label_count().
  Counter& counter(Family family, Labels labels = {}, Lease* lease = nullptr);
  Gauge& gauge(Family family, Labels labels = {}, Lease* lease = nullptr);
  Histogram& histogram(Family family, Labels labels = {}, Lease* lease = nullptr);
  StatusCounters& status_counters(Family family, Labels labels, Lease* lease = nullptr);
  /// One counter for each value of the family's last label, in order.
  Counter* row(Family family, Labels labels = {}, Lease* lease = nullptr);

 private:
  friend class Registry;
  template <class Make>
  void* cell(Family family, Labels labels, Lease* lease, Make make);
  template <class Cell>
  void destroy(void* cell);
  void free_cell(Family family, size_t number);

  Registry& registry_;
  // One per shard: no cache line shared by workers. With the registry's lock.
  std::pmr::unsynchronized_pool_resource memory_;
  // by family, then by the registry's number of the label set; nullptr: this thread has no cell
  std::array<std::vector<void*>, static_cast<size_t>(Family::Count_)> cells_;
};

/// Takes the gauges that are read only when somebody scrapes.
class GaugeSink {
 public:
  virtual ~GaugeSink() = default;
  virtual void set(Family family, Labels labels, double value) = 0;
};

/// All metrics of the process. Thread-safe; outlives every thread that counts.
class Registry {
 public:
  /// Label sets of one family; beyond it, new ones share one whose labels are all "other". Those
  /// that nobody counts in any more make room first.
  static constexpr size_t kMaxLabelSets = 10'000;
  /// How long a series is still shown when nobody counts in it any more, so that its last values
  /// are scraped, and a route or endpoint that is away for a moment goes on where it was.
  static constexpr Duration kGrace = std::chrono::minutes(5);

  using Clock = TimePoint (*)();
  static TimePoint steady_now() { return std::chrono::steady_clock::now(); }
  explicit Registry(size_t max_label_sets = kMaxLabelSets, Clock clock = steady_now,
                    Duration grace = kGrace)
      : max_label_sets_(max_label_sets), clock_(clock), grace_(grace) {}
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  /// A new thread's cells.
  Shard& add_shard();

  /// `collect` runs at every scrape, in the scraping thread, without the registry's lock.
  using Collect = std::function<void(GaugeSink&)>;
  void add_collector(Collect collect);

  /// Sum over all threads and label sets of a family whose kind is Counter, GaugeSum, CounterRow or
  /// Histogram (number of observations); what has been counted in series that are gone included.
  double sum(Family family) const;

  /// Everything, merged; families without a sample are left out.
  std::vector<prometheus::MetricFamily> collect() const;

  /// Forgets series of the next families that nobody has counted in for the grace. To be called
  /// each second; then all families have their turn within the grace.
  void sweep();
  /// Label sets of a family.
  size_t series_count(Family family) const;

 private:
  friend class Shard;
  struct FamilyState {
    std::map<std::vector<std::string>, std::unique_ptr<Series>, std::less<>> by_labels;
    std::vector<Series*> by_number;  // nullptr: free
    std::vector<size_t> free_numbers;
    double gone = 0;       // counted in series that are gone
    TimePoint swept_at{};  // for want of room, or in passing
  };
  // REQUIRES for all of these: mutex_ held.
  Series& series_of(Family family, Labels labels);
  void sweep(Family family, Duration grace);
  void forget(Family family, Series& series);
  std::vector<const void*> cells_of(Family family, size_t number) const;
  double sum_of_series(Family family, size_t number) const;
  void collect_family(Family family, prometheus::MetricFamily& to) const;
  void merge(Family family, const Series& series, prometheus::MetricFamily& to) const;

  const size_t max_label_sets_;
  const Clock clock_;
  const Duration grace_;
  size_t next_swept_ = 0;
  mutable std::mutex mutex_;
  std::array<FamilyState, static_cast<size_t>(Family::Count_)> families_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<Collect> collectors_;
};

}  // namespace tidegate::telemetry
