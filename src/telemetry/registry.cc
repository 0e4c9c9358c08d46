// SPDX-License-Identifier: Apache-2.0
#include "telemetry/registry.h"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <new>
#include <utility>

namespace tidegate::telemetry {
namespace {

constexpr size_t index_of(Family family) {
  return static_cast<size_t>(family);
}

prometheus::MetricType type_of(CellKind kind) {
  switch (kind) {
    case CellKind::Counter:
    case CellKind::CounterRow:
    case CellKind::Status:
      return prometheus::MetricType::Counter;
    case CellKind::Histogram:
      return prometheus::MetricType::Histogram;
    case CellKind::GaugeSum:
    case CellKind::GaugeMax:
      break;
  }
  return prometheus::MetricType::Gauge;
}

template <class Values>
prometheus::ClientMetric& add_metric(const FamilyInfo& info, const Values& values,
                                     prometheus::MetricFamily& to) {
  auto& metric = to.metric.emplace_back();
  metric.label.reserve(info.labels.size());
  size_t i = 0;
  for (const auto& value : values) {
    metric.label.push_back({std::string(info.labels[i++]), std::string(value)});
  }
  return metric;
}

void add_label(const FamilyInfo& info, std::string_view value, prometheus::ClientMetric& to) {
  to.label.push_back({std::string(info.labels[info.fixed_label_count()]), std::string(value)});
}

uint64_t sum_of(const std::vector<const void*>& cells, size_t row_index) {
  uint64_t sum = 0;
  for (const void* cell : cells) sum += static_cast<const Counter*>(cell)[row_index].value();
  return sum;
}

double gauge_of(const std::vector<const void*>& cells, CellKind kind) {
  int64_t sum = 0;
  int64_t largest = std::numeric_limits<int64_t>::min();
  for (const void* cell : cells) {
    const int64_t value = static_cast<const Gauge*>(cell)->value();
    sum += value;
    largest = std::max(largest, value);
  }
  return static_cast<double>(kind == CellKind::GaugeSum ? sum : largest);
}

void merge_row(const FamilyInfo& info, const std::vector<std::string>& labels,
               const std::vector<const void*>& cells, prometheus::MetricFamily& to) {
  for (size_t i = info.values->first; i < info.values->count; ++i) {
    const uint64_t sum = sum_of(cells, i);
    if (sum == 0 && !info.values->print_zeros) continue;
    auto& metric = add_metric(info, labels, to);
    add_label(info, info.values->name(i), metric);
    metric.counter.value = static_cast<double>(sum) / info.per_unit;
  }
}

void merge_statuses(const FamilyInfo& info, const std::vector<std::string>& labels,
                    const std::vector<const void*>& cells, prometheus::MetricFamily& to) {
  constexpr unsigned kEnd = StatusCounters::kLowest + StatusCounters::kClasses * 100;
  for (unsigned status = StatusCounters::kLowest; status < kEnd; ++status) {
    uint64_t sum = 0;
    for (const void* cell : cells) sum += static_cast<const StatusCounters*>(cell)->value(status);
    if (sum == 0) continue;
    auto& metric = add_metric(info, labels, to);
    add_label(info, std::to_string(status), metric);
    metric.counter.value = static_cast<double>(sum);
  }
}

void merge_histogram(const FamilyInfo& info, const std::vector<std::string>& labels,
                     const std::vector<const void*>& cells, prometheus::MetricFamily& to) {
  const Scale& scale = *info.scale;
  auto& histogram = add_metric(info, labels, to).histogram;
  uint64_t cumulative = 0;
  double sum = 0;
  for (size_t i = 0; i <= scale.count; ++i) {
    for (const void* cell : cells) cumulative += static_cast<const Histogram*>(cell)->in_bucket(i);
    const double bound = i == scale.count ? std::numeric_limits<double>::infinity()
                                          : static_cast<double>(scale.bounds[i]) / scale.per_unit;
    histogram.bucket.push_back({cumulative, bound});
  }
  for (const void* cell : cells) {
    sum += static_cast<double>(static_cast<const Histogram*>(cell)->sum());
  }
  histogram.sample_count = cumulative;
  histogram.sample_sum = sum / scale.per_unit;
}

/// Collects what the callbacks say, straight into the families.
class FamilySink : public GaugeSink {
 public:
  explicit FamilySink(std::vector<prometheus::MetricFamily>& families) : families_(families) {}

  void set(Family family, Labels labels, double value) override {
    const FamilyInfo& info = describe(family);
    assert(labels.size() == info.label_count());
    auto& metric = add_metric(info, labels, families_[index_of(family)]);
    (info.kind == CellKind::Counter ? metric.counter.value : metric.gauge.value) = value;
  }

 private:
  std::vector<prometheus::MetricFamily>& families_;
};

}  // namespace

// A few at most, so they are looked through.
void Lease::take(Series& series) {
  if (std::ranges::find(series_, &series) != series_.end()) return;
  series_.push_back(&series);
  series.leases.fetch_add(1, std::memory_order_relaxed);
}

template <class Make>
void* Shard::cell(Family family, Labels labels, Lease* lease, Make make) {
  assert(labels.size() == describe(family).fixed_label_count());
  const std::lock_guard lock(registry_.mutex_);
  Series& series = registry_.series_of(family, labels);
  if (lease == nullptr) {
    series.stays = true;
  } else {
    lease->take(series);
  }
  auto& cells = cells_[index_of(family)];
  if (cells.size() <= series.number) cells.resize(series.number + 1, nullptr);
  void*& cell = cells[series.number];
  if (cell == nullptr) cell = make();
  return cell;
}

Counter& Shard::counter(Family family, Labels labels, Lease* lease) {
  assert(describe(family).kind == CellKind::Counter);
  void* made = cell(family, labels, lease, [this] {
    return new (memory_.allocate(sizeof(Counter), alignof(Counter))) Counter;
  });
  return *static_cast<Counter*>(made);
}

Gauge& Shard::gauge(Family family, Labels labels, Lease* lease) {
  assert(type_of(describe(family).kind) == prometheus::MetricType::Gauge);
  void* made = cell(family, labels, lease,
                    [this] { return new (memory_.allocate(sizeof(Gauge), alignof(Gauge))) Gauge; });
  return *static_cast<Gauge*>(made);
}

Histogram& Shard::histogram(Family family, Labels labels, Lease* lease) {
  const FamilyInfo& info = describe(family);
  assert(info.kind == CellKind::Histogram);
  void* made = cell(family, labels, lease, [this, &info] {
    return new (memory_.allocate(sizeof(Histogram), alignof(Histogram))) Histogram(*info.scale);
  });
  return *static_cast<Histogram*>(made);
}

StatusCounters& Shard::status_counters(Family family, Labels labels, Lease* lease) {
  assert(describe(family).kind == CellKind::Status);
  void* made = cell(family, labels, lease, [this] {
    return new (memory_.allocate(sizeof(StatusCounters), alignof(StatusCounters))) StatusCounters;
  });
  return *static_cast<StatusCounters*>(made);
}

Counter* Shard::row(Family family, Labels labels, Lease* lease) {
  const FamilyInfo& info = describe(family);
  assert(info.kind == CellKind::CounterRow);
  void* made = cell(family, labels, lease, [this, &info] {
    const size_t count = info.values->count;
    auto* first =
        static_cast<Counter*>(memory_.allocate(sizeof(Counter) * count, alignof(Counter)));
    for (size_t i = 0; i < count; ++i) new (first + i) Counter;
    return first;
  });
  return static_cast<Counter*>(made);
}

template <class Cell>
void Shard::destroy(void* cell) {
  static_cast<Cell*>(cell)->~Cell();
  memory_.deallocate(cell, sizeof(Cell), alignof(Cell));
}

void Shard::free_cell(Family family, size_t number) {
  auto& cells = cells_[index_of(family)];
  if (number >= cells.size() || cells[number] == nullptr) return;
  void* const cell = std::exchange(cells[number], nullptr);
  const FamilyInfo& info = describe(family);
  switch (info.kind) {
    case CellKind::Counter:
      return destroy<Counter>(cell);
    case CellKind::CounterRow:
      return memory_.deallocate(cell, sizeof(Counter) * info.values->count, alignof(Counter));
    case CellKind::Status:
      return destroy<StatusCounters>(cell);
    case CellKind::Histogram:
      return destroy<Histogram>(cell);
    case CellKind::GaugeSum:
    case CellKind::GaugeMax:
      return destroy<Gauge>(cell);
  }
}

Shard::~Shard() {
  for (size_t family = 0; family < cells_.size(); ++family) {
    for (size_t number = 0; number < cells_[family].size(); ++number) {
      free_cell(static_cast<Family>(family), number);
    }
  }
}

Registry::~Registry() = default;

Shard& Registry::add_shard() {
  const std::lock_guard lock(mutex_);
  return *shards_.emplace_back(std::make_unique<Shard>(*this));
}

void Registry::add_collector(Collect collect) {
  const std::lock_guard lock(mutex_);
  collectors_.push_back(std::move(collect));
}

Series& Registry::series_of(Family family, Labels labels) {
  FamilyState& state = families_[index_of(family)];
  std::vector<std::string> key(labels.begin(), labels.end());
  if (const auto found = state.by_labels.find(key); found != state.by_labels.end()) {
    return *found->second;
  }
  // Not for each of thousands that come at once.
  constexpr Duration kSeldom = std::chrono::seconds(1);
  if (state.by_labels.size() >= max_label_sets_ && clock_() - state.swept_at >= kSeldom) {
    sweep(family, Duration::zero());
  }
  if (state.by_labels.size() >= max_label_sets_) key.assign(labels.size(), "other");
  std::unique_ptr<Series>& series = state.by_labels[key];
  if (series != nullptr) return *series;
  series = std::make_unique<Series>();
  series->labels = std::move(key);
  if (state.free_numbers.empty()) {
    series->number = state.by_number.size();
    state.by_number.push_back(series.get());
  } else {
    series->number = state.free_numbers.back();
    state.free_numbers.pop_back();
    state.by_number[series->number] = series.get();
  }
  return *series;
}

void Registry::sweep() {
  // As few at each call as will do, so that none holds up those who ask for cells.
  const auto calls = std::max<size_t>(grace_ / std::chrono::seconds(1), 1);
  for (size_t left = (families_.size() + calls - 1) / calls; left > 0; --left) {
    const std::lock_guard lock(mutex_);
    next_swept_ = (next_swept_ + 1) % families_.size();
    sweep(static_cast<Family>(next_swept_), grace_);
  }
}

void Registry::sweep(Family family, Duration grace) {
  const TimePoint now = clock_();
  families_[index_of(family)].swept_at = now;
  for (Series* series : families_[index_of(family)].by_number) {
    if (series == nullptr || series->stays) continue;
    // What was counted before the last lease went is seen from here on.
    if (series->leases.load(std::memory_order_acquire) > 0) {
      series->unused_since = {};
      continue;
    }
    if (series->unused_since == TimePoint()) series->unused_since = now;
    if (now - series->unused_since >= grace) forget(family, *series);
  }
}

void Registry::forget(Family family, Series& series) {
  FamilyState& state = families_[index_of(family)];
  const CellKind kind = describe(family).kind;
  if (kind == CellKind::Counter || kind == CellKind::CounterRow || kind == CellKind::Histogram) {
    state.gone += sum_of_series(family, series.number);
  }
  for (const auto& shard : shards_) shard->free_cell(family, series.number);
  state.by_number[series.number] = nullptr;
  state.free_numbers.push_back(series.number);
  state.by_labels.erase(state.by_labels.find(series.labels));
}

size_t Registry::series_count(Family family) const {
  const std::lock_guard lock(mutex_);
  return families_[index_of(family)].by_labels.size();
}

double Registry::sum(Family family) const {
  const std::lock_guard lock(mutex_);
  const FamilyState& state = families_[index_of(family)];
  double sum = state.gone;
  for (const Series* series : state.by_number) {
    if (series != nullptr) sum += sum_of_series(family, series->number);
  }
  return sum;
}

double Registry::sum_of_series(Family family, size_t number) const {
  const FamilyInfo& info = describe(family);
  double sum = 0;
  for (const void* cell : cells_of(family, number)) {
    if (info.kind == CellKind::GaugeSum) {
      sum += static_cast<double>(static_cast<const Gauge*>(cell)->value());
    } else if (info.kind == CellKind::Histogram) {
      const auto* histogram = static_cast<const Histogram*>(cell);
      for (size_t i = 0; i <= info.scale->count; ++i) {
        sum += static_cast<double>(histogram->in_bucket(i));
      }
    } else {
      assert(info.kind == CellKind::Counter || info.kind == CellKind::CounterRow);
      const size_t count = info.values == nullptr ? 1 : info.values->count;
      for (size_t i = 0; i < count; ++i) {
        sum += static_cast<double>(static_cast<const Counter*>(cell)[i].value()) / info.per_unit;
      }
    }
  }
  return sum;
}

/// Those of all threads.
std::vector<const void*> Registry::cells_of(Family family, size_t number) const {
  std::vector<const void*> cells;
  for (const auto& shard : shards_) {
    const auto& of_shard = shard->cells_[index_of(family)];
    if (number < of_shard.size() && of_shard[number] != nullptr) cells.push_back(of_shard[number]);
  }
  return cells;
}

void Registry::merge(Family family, const Series& series, prometheus::MetricFamily& to) const {
  const std::vector<const void*> cells = cells_of(family, series.number);
  if (cells.empty()) return;
  const FamilyInfo& info = describe(family);
  const auto& labels = series.labels;
  switch (info.kind) {
    case CellKind::Counter:
      add_metric(info, labels, to).counter.value =
          static_cast<double>(sum_of(cells, 0)) / info.per_unit;
      break;
    case CellKind::CounterRow:
      merge_row(info, labels, cells, to);
      break;
    case CellKind::Status:
      merge_statuses(info, labels, cells, to);
      break;
    case CellKind::Histogram:
      merge_histogram(info, labels, cells, to);
      break;
    case CellKind::GaugeSum:
    case CellKind::GaugeMax:
      add_metric(info, labels, to).gauge.value = gauge_of(cells, info.kind);
      break;
  }
}

void Registry::collect_family(Family family, prometheus::MetricFamily& to) const {
  const FamilyInfo& info = describe(family);
  to.name = info.name;
  to.help = info.help;
  to.type = type_of(info.kind);
  for (const Series* series : families_[index_of(family)].by_number) {
    if (series != nullptr) merge(family, *series, to);
  }
}

std::vector<prometheus::MetricFamily> Registry::collect() const {
  std::vector<prometheus::MetricFamily> families(index_of(Family::Count_));
  std::vector<Collect> collectors;
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < families.size(); ++i) {
      collect_family(static_cast<Family>(i), families[i]);
    }
    collectors = collectors_;
  }
  FamilySink sink(families);
  for (const auto& collect : collectors) collect(sink);
  std::erase_if(families, [](const auto& family) { return family.metric.empty(); });
  return families;
}

}  // namespace tidegate::telemetry
