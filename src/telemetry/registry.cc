// SPDX-License-Identifier: Apache-2.0
#include "telemetry/registry.h"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <new>

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

template <class Make>
void* Shard::cell(Family family, Labels labels, Make make) {
  assert(labels.size() == describe(family).fixed_label_count());
  const std::lock_guard lock(registry_.mutex_);
  const size_t number = registry_.number_of(family, labels);
  auto& cells = cells_[index_of(family)];
  if (cells.size() <= number) cells.resize(number + 1, nullptr);
  if (cells[number] == nullptr) cells[number] = make();
  return cells[number];
}

Counter& Shard::counter(Family family, Labels labels) {
  assert(describe(family).kind == CellKind::Counter);
  void* made = cell(family, labels, [this] {
    return new (memory_.allocate(sizeof(Counter), alignof(Counter))) Counter;
  });
  return *static_cast<Counter*>(made);
}

Gauge& Shard::gauge(Family family, Labels labels) {
  assert(type_of(describe(family).kind) == prometheus::MetricType::Gauge);
  void* made = cell(family, labels,
                    [this] { return new (memory_.allocate(sizeof(Gauge), alignof(Gauge))) Gauge; });
  return *static_cast<Gauge*>(made);
}

Histogram& Shard::histogram(Family family, Labels labels) {
  const FamilyInfo& info = describe(family);
  assert(info.kind == CellKind::Histogram);
  void* made = cell(family, labels, [this, &info] {
    return new (memory_.allocate(sizeof(Histogram), alignof(Histogram))) Histogram(*info.scale);
  });
  return *static_cast<Histogram*>(made);
}

StatusCounters& Shard::status_counters(Family family, Labels labels) {
  assert(describe(family).kind == CellKind::Status);
  void* made = cell(family, labels, [this] { return &statuses_.emplace_back(); });
  return *static_cast<StatusCounters*>(made);
}

Counter* Shard::row(Family family, Labels labels) {
  const FamilyInfo& info = describe(family);
  assert(info.kind == CellKind::CounterRow);
  void* made = cell(family, labels, [this, &info] {
    const size_t count = info.values->count;
    auto* first =
        static_cast<Counter*>(memory_.allocate(sizeof(Counter) * count, alignof(Counter)));
    for (size_t i = 0; i < count; ++i) new (first + i) Counter;
    return first;
  });
  return static_cast<Counter*>(made);
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

size_t Registry::number_of(Family family, Labels labels) {
  FamilyState& state = families_[index_of(family)];
  std::vector<std::string> key(labels.begin(), labels.end());
  auto found = state.numbers.find(key);
  if (found == state.numbers.end()) {
    if (state.label_sets.size() >= max_label_sets_) key.assign(labels.size(), "other");
    found = state.numbers.try_emplace(std::move(key), state.label_sets.size()).first;
    if (found->second == state.label_sets.size()) state.label_sets.push_back(&found->first);
  }
  return found->second;
}

double Registry::sum(Family family) const {
  const FamilyInfo& info = describe(family);
  const std::lock_guard lock(mutex_);
  double sum = 0;
  for (const auto& shard : shards_) {
    for (const void* cell : shard->cells_[index_of(family)]) {
      if (cell == nullptr) continue;
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
  }
  return sum;
}

void Registry::merge(Family family, size_t number, prometheus::MetricFamily& to) const {
  std::vector<const void*> cells;
  for (const auto& shard : shards_) {
    const auto& of_shard = shard->cells_[index_of(family)];
    if (number < of_shard.size() && of_shard[number] != nullptr) cells.push_back(of_shard[number]);
  }
  if (cells.empty()) return;
  const FamilyInfo& info = describe(family);
  const auto& labels = *families_[index_of(family)].label_sets[number];
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
  const size_t label_sets = families_[index_of(family)].label_sets.size();
  for (size_t number = 0; number < label_sets; ++number) merge(family, number, to);
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
