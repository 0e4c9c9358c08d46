// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/cells.h"
#include "telemetry/families.h"

namespace prometheus {
struct MetricFamily;
}

namespace tidegate::telemetry {

class Registry;
using Labels = std::initializer_list<std::string_view>;

/// The cells of one thread. Owned by the Registry and never freed before it, so a cell stays good
/// whatever happens to the route or endpoint it counts for. Asking for a cell takes a lock: do it
/// at set-up and reload, never on the data path. Equal labels give the same cell.
class Shard {
 public:
  explicit Shard(Registry& registry) : registry_(registry) {}
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // REQUIRES: the kind is that of the family; labels.size() == fixed_label_count().
  Counter& counter(Family family, Labels labels = {});
  Gauge& gauge(Family family, Labels labels = {});
  Histogram& histogram(Family family, Labels labels = {});
  StatusCounters& status_counters(Family family, Labels labels);
  /// One counter for each value of the family's last label, in order.
  Counter* row(Family family, Labels labels = {});

 private:
  friend class Registry;
  template <class Make>
  void* cell(Family family, Labels labels, Make make);

  Registry& registry_;
  std::pmr::monotonic_buffer_resource memory_;  // one per shard: no cache line shared by workers
  std::deque<StatusCounters> statuses_;
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
  /// Label sets of one family; beyond it, new ones share one whose labels are all "other".
  static constexpr size_t kMaxLabelSets = 10'000;

  explicit Registry(size_t max_label_sets = kMaxLabelSets) : max_label_sets_(max_label_sets) {}
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  /// A new thread's cells.
  Shard& add_shard();

  /// `collect` runs at every scrape, in the scraping thread, without the registry's lock.
  using Collect = std::function<void(GaugeSink&)>;
  void add_collector(Collect collect);

  /// Sum over all threads and label sets of a family whose kind is Counter, GaugeSum, CounterRow or
  /// Histogram (number of observations).
  double sum(Family family) const;

  /// Everything, merged; families without a sample are left out.
  std::vector<prometheus::MetricFamily> collect() const;

 private:
  friend class Shard;
  struct FamilyState {
    std::map<std::vector<std::string>, size_t, std::less<>> numbers;
    std::vector<const std::vector<std::string>*> label_sets;  // by number, keys of `numbers`
  };
  size_t number_of(Family family, Labels labels);  // REQUIRES: mutex_ held
  void collect_family(Family family, prometheus::MetricFamily& to) const;
  void merge(Family family, size_t number, prometheus::MetricFamily& to) const;

  const size_t max_label_sets_;
  mutable std::mutex mutex_;
  std::array<FamilyState, static_cast<size_t>(Family::Count_)> families_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<Collect> collectors_;
};

}  // namespace tidegate::telemetry
