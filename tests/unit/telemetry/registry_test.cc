// SPDX-License-Identifier: Apache-2.0
#include "telemetry/registry.h"

#include <doctest/doctest.h>
#include <prometheus/metric_family.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "telemetry/metrics.h"

using namespace tidegate;
using namespace tidegate::telemetry;
using namespace std::chrono_literals;

namespace {

enum class Method : uint8_t { Get, Head, Post, Put, Delete, Connect, Options, Trace, Patch, Other };

using LabelValues = std::vector<std::string>;

/// What one family says, by label values; a histogram by its count.
std::map<LabelValues, double> values_of(const Registry& registry, std::string_view name) {
  std::map<LabelValues, double> values;
  for (const auto& family : registry.collect()) {
    if (family.name != name) continue;
    for (const auto& metric : family.metric) {
      LabelValues labels;
      for (const auto& label : metric.label) labels.push_back(label.value);
      const double value = family.type == prometheus::MetricType::Counter ? metric.counter.value
                           : family.type == prometheus::MetricType::Gauge
                               ? metric.gauge.value
                               : static_cast<double>(metric.histogram.sample_count);
      const bool added = values.emplace(labels, value).second;
      CHECK_MESSAGE(added, "the same labels twice in ", family.name);
    }
  }
  return values;
}

using Expected = std::map<LabelValues, double>;

}  // namespace

TEST_CASE("cells of all threads with the same labels are summed") {
  Registry registry;
  Shard& one = registry.add_shard();
  Shard& two = registry.add_shard();
  RouteMetrics(one, "users").request(Method::Get);
  RouteMetrics(two, "users").request(Method::Get);
  RouteMetrics(two, "users").request(Method::Other);
  RouteMetrics(two, "orders").request(Method::Post);
  CHECK(values_of(registry, "proxy_requests_total") ==
        Expected{{{"users", "GET"}, 2}, {{"users", "other"}, 1}, {{"orders", "POST"}, 1}});
}

TEST_CASE("a route's statuses and durations are counted") {
  Registry registry;
  Shard& shard = registry.add_shard();
  const RouteMetrics route(shard, "users");
  route.response(200, 3ms);
  route.response(200, 4ms);
  route.response(503, 1s);
  CHECK(values_of(registry, "proxy_responses_by_status_total") ==
        Expected{{{"users", "200"}, 2}, {{"users", "503"}, 1}});
  CHECK(values_of(registry, "proxy_request_duration_seconds") == Expected{{{"users"}, 3}});
  CHECK(registry.sum(Family::RequestDurationSeconds) == 3);
}

TEST_CASE("equal labels give the same cell, so a reload goes on counting where it was") {
  Registry registry;
  Shard& shard = registry.add_shard();
  Counter& before = shard.counter(Family::BackendConnectionsTotal, {"users", "10.0.0.1:80"});
  Counter& after = shard.counter(Family::BackendConnectionsTotal, {"users", "10.0.0.1:80"});
  CHECK(&before == &after);
  CHECK(&before != &shard.counter(Family::BackendConnectionsTotal, {"users", "10.0.0.2:80"}));
}

TEST_CASE("label sets beyond the bound share one called other") {
  Registry registry(2);
  Shard& shard = registry.add_shard();
  for (const char* name : {"a", "b", "c", "d", "a"}) {
    shard.counter(Family::BackendConnectionsTotal, {name, name}).add();
  }
  registry.add_shard().counter(Family::BackendConnectionsTotal, {"e", "e"}).add();
  CHECK(values_of(registry, "proxy_backend_connections_total") ==
        Expected{{{"a", "a"}, 2}, {{"b", "b"}, 1}, {{"other", "other"}, 3}});
}

TEST_CASE("gauges are summed, generations are not") {
  Registry registry;
  const std::array<std::string_view, 1> hooks{"on_request"};
  const PolicyMetrics one(registry.add_shard(), "auth", hooks);
  const PolicyMetrics two(registry.add_shard(), "auth", hooks);
  one.memory(100);
  two.memory(50);
  one.generation(7);
  two.generation(6);
  CHECK(values_of(registry, "proxy_script_memory_bytes") == Expected{{{"auth"}, 150}});
  CHECK(values_of(registry, "proxy_script_generation") == Expected{{{"auth"}, 7}});
}

TEST_CASE("a policy's runs, CPU time and errors are counted by hook and kind") {
  Registry registry;
  enum class Hook { Request, Response };
  const std::array<std::string_view, 2> hooks{"on_request", "on_response"};
  const PolicyMetrics policy(registry.add_shard(), "auth", hooks);
  policy.run(Hook::Response, 250ms);
  policy.run(Hook::Response, 250ms);
  policy.error(Hook::Response, ErrorCode::ScriptCpu);
  policy.error(Hook::Response, ErrorCode::ScriptTime);
  policy.error(Hook::Request, ErrorCode::Internal);
  CHECK(values_of(registry, "proxy_script_runs_total") ==
        Expected{{{"auth", "on_request"}, 0}, {{"auth", "on_response"}, 2}});
  CHECK(values_of(registry, "proxy_script_cpu_seconds_total") ==
        Expected{{{"auth", "on_request"}, 0}, {{"auth", "on_response"}, 0.5}});
  CHECK(values_of(registry, "proxy_script_errors_total") ==
        Expected{{{"auth", "on_response", "cpu"}, 1},
                 {{"auth", "on_response", "time"}, 1},
                 {{"auth", "on_request", "error"}, 1}});
}

TEST_CASE("errors carry their token, and those not yet seen are zero") {
  Registry registry;
  WorkerMetrics metrics(registry.add_shard());
  metrics.error(ErrorCode::ConnectTimeout);
  const auto errors = values_of(registry, "proxy_errors_total");
  CHECK(errors.size() == static_cast<size_t>(ErrorCode::Count_) - 1);
  CHECK(errors.count({"none"}) == 0);
  CHECK(errors.at({"connect_timeout"}) == 1);
  CHECK(errors.at({"no_route"}) == 0);
}

TEST_CASE("retries and connection errors carry cluster, endpoint and reason") {
  Registry registry;
  Shard& shard = registry.add_shard();
  ClusterMetrics(shard, "users").retry(RetryReason::Reused);
  const EndpointMetrics endpoint(shard, "users", "10.0.0.1:80");
  endpoint.connected();
  endpoint.connection_error(ErrorCode::ConnectFailed);
  CHECK(values_of(registry, "proxy_retries_total") == Expected{{{"users", "reused"}, 1}});
  CHECK(values_of(registry, "proxy_backend_connection_errors_total") ==
        Expected{{{"users", "10.0.0.1:80", "connect_failed"}, 1}});
}

TEST_CASE("collectors are asked at every scrape") {
  Registry registry;
  double healthy = 1;
  registry.add_collector([&](GaugeSink& sink) {
    sink.set(Family::EndpointHealthy, {"users", "10.0.0.1:80"}, healthy);
  });
  CHECK(values_of(registry, "proxy_endpoint_healthy") == Expected{{{"users", "10.0.0.1:80"}, 1}});
  healthy = 0;
  CHECK(values_of(registry, "proxy_endpoint_healthy") == Expected{{{"users", "10.0.0.1:80"}, 0}});
}

TEST_CASE("every family of the table has a legal name, a help text and distinct labels") {
  std::set<std::string_view> names;
  for (size_t i = 0; i < static_cast<size_t>(Family::Count_); ++i) {
    const FamilyInfo& info = describe(static_cast<Family>(i));
    CAPTURE(info.name);
    CHECK(names.insert(info.name).second);
    CHECK((info.name.starts_with("proxy_") || info.name.starts_with("process_")));
    CHECK(info.help.ends_with('.') == true);
    const bool counts = info.kind == CellKind::Counter || info.kind == CellKind::CounterRow ||
                        info.kind == CellKind::Status;
    CHECK(counts == info.name.ends_with("_total"));
    CHECK((info.kind == CellKind::Histogram) == (info.scale != nullptr));
    CHECK((info.kind == CellKind::CounterRow) == (info.values != nullptr));
    CHECK(info.fixed_label_count() <= info.label_count());
  }
}

TEST_CASE("threads may count and ask for cells while another scrapes") {
  Registry registry;
  constexpr uint64_t kEach = 20'000;
  std::atomic<int> running{2};
  const auto work = [&] {
    Shard& shard = registry.add_shard();
    WorkerMetrics metrics(shard);
    for (uint64_t i = 0; i < kEach; ++i) {
      if (i % 1000 == 0) RouteMetrics(shard, std::to_string(i)).response(200 + i / 1000, 1ms);
      metrics.response(200);
      metrics.request_size.observe(i);
    }
    --running;
  };
  std::thread one(work);
  std::thread two(work);
  double last = 0;
  bool monotonic = true;
  while (running > 0) {
    const auto responses = values_of(registry, "proxy_responses_total");
    const double now = responses.empty() ? 0 : responses.begin()->second;
    monotonic = monotonic && now >= last;
    last = now;
  }
  one.join();
  two.join();
  CHECK(monotonic);
  CHECK(registry.sum(Family::ResponsesTotal) == 2 * kEach);
  CHECK(registry.sum(Family::RequestSizeBytes) == 2 * kEach);
}

namespace {

TimePoint g_now{1h};

struct Aging {
  Registry registry{Registry::kMaxLabelSets, [] { return g_now; }};
  Shard& shard{registry.add_shard()};

  void pass(Duration time) {
    g_now += time;
    for (size_t i = 0; i < static_cast<size_t>(Family::Count_); ++i) registry.sweep();
  }
  /// Long enough for what is not used.
  void outlive() {
    pass(1s);
    pass(Registry::kGrace);
  }
  std::map<LabelValues, double> requests() const {
    return values_of(registry, "proxy_requests_total");
  }
};

}  // namespace

TEST_CASE_FIXTURE(Aging, "O9: a series goes with its route, after a grace") {
  auto users = std::make_unique<RouteMetrics>(shard, "users");
  const RouteMetrics orders(shard, "orders");
  users->request(Method::Get);
  orders.request(Method::Get);
  outlive();
  CHECK(requests().size() == 2);
  users.reset();
  pass(1s);
  pass(Registry::kGrace - 1s);
  CHECK(requests().size() == 2);
  pass(1s);
  CHECK(requests() == Expected{{{"orders", "GET"}, 1}});
  CHECK(registry.sum(Family::RequestsTotal) == 2);  // totals do not fall
}

TEST_CASE_FIXTURE(Aging, "O9: copies keep it, and one that comes back in time goes on counting") {
  auto first = std::make_unique<RouteMetrics>(shard, "users");
  first->request(Method::Get);
  auto copy = std::make_unique<RouteMetrics>(*first);
  first.reset();
  outlive();
  copy->request(Method::Get);
  CHECK(requests() == Expected{{{"users", "GET"}, 2}});
  copy.reset();
  pass(1s);
  const RouteMetrics back(shard, "users");
  back.request(Method::Get);
  outlive();
  CHECK(requests() == Expected{{{"users", "GET"}, 3}});
}

TEST_CASE_FIXTURE(Aging, "O9: what one thread has let go of stays while another counts in it") {
  Shard& other = registry.add_shard();
  auto here = std::make_unique<EndpointMetrics>(shard, "app", "a:80");
  const EndpointMetrics there(other, "app", "a:80");
  here->connected();
  there.connected();
  here.reset();
  outlive();
  CHECK(values_of(registry, "proxy_backend_connections_total") == Expected{{{"app", "a:80"}, 2}});
}

TEST_CASE_FIXTURE(Aging, "O9: kinds of all sorts go: clusters, endpoints, policies, statuses") {
  {
    const ClusterMetrics cluster(shard, "app");
    cluster.retry(RetryReason::Reset);
    cluster.attempt(1ms);
    const EndpointMetrics endpoint(shard, "app", "a:80");
    endpoint.connection_error(ErrorCode::ConnectFailed);
    const std::array<std::string_view, 1> hooks{"on_request"};
    const PolicyMetrics policy(shard, "auth", hooks);
    policy.memory(1);
    const RouteMetrics route(shard, "users");
    route.response(200, 1ms);
    route.response(503, 1ms);
  }
  CHECK(registry.collect().size() > 8);
  outlive();
  CHECK(registry.collect().empty());
  CHECK(registry.sum(Family::BackendRequestDurationSeconds) == 1);
  CHECK(registry.sum(Family::RetriesTotal) == 1);
}

TEST_CASE_FIXTURE(Aging, "O9: cells without a lease stay") {
  shard.counter(Family::ConfigReloadsTotal, {"loaded"}).add();
  outlive();
  CHECK(values_of(registry, "proxy_config_reloads_total") == Expected{{{"loaded"}, 1}});
}

TEST_CASE_FIXTURE(Aging, "O9: 150 sets of 20 endpoints after 10,500 addresses leave 20") {
  std::vector<EndpointMetrics> present;
  for (int set = 0; set < 525; ++set) {
    std::vector<EndpointMetrics> next;
    for (int i = 0; i < 20; ++i) {
      next.emplace_back(shard, "app", "10.0." + std::to_string(set) + "." + std::to_string(i));
      next.back().connected();
    }
    present = std::move(next);
    pass(2s);
    CHECK(registry.series_count(Family::BackendConnectionsTotal) <= 20 * (300 / 2 + 3));
  }
  outlive();
  CHECK(registry.series_count(Family::BackendConnectionsTotal) == 20);
  const auto live = values_of(registry, "proxy_backend_connections_total");
  CHECK(live.size() == 20);
  CHECK(live.count({"app", "10.0.524.19"}) == 1);
  CHECK(registry.sum(Family::BackendConnectionsTotal) == 10'500);
}

TEST_CASE_FIXTURE(Aging, "O9: at the bound, the unused make room before anybody is called other") {
  Registry small(50, [] { return g_now; });
  Shard& cells = small.add_shard();
  std::vector<RouteMetrics> present;
  for (int reload = 0; reload < 300; ++reload) {
    std::vector<RouteMetrics> next;
    g_now += 2s;
    for (int i = 0; i < 20; ++i) {
      next.emplace_back(cells, "r" + std::to_string(reload) + "-" + std::to_string(i));
      next.back().request(Method::Get);
    }
    present = std::move(next);
    CHECK(small.series_count(Family::RequestsTotal) <= 50);
  }
  CHECK(values_of(small, "proxy_requests_total").count({"other", "GET"}) == 0);
  CHECK(small.sum(Family::RequestsTotal) == 6000);
}

TEST_CASE("O9: threads may let go of series and take them again while another sweeps") {
  Registry registry(Registry::kMaxLabelSets, [] { return g_now; });
  constexpr int kRounds = 2000;
  std::atomic<int> running{2};
  const auto work = [&] {
    Shard& shard = registry.add_shard();
    for (int i = 0; i < kRounds; ++i) {
      const RouteMetrics route(shard, std::to_string(i % 7));
      route.request(Method::Get);
      route.response(200, 1ms);
    }
    --running;
  };
  std::thread one(work);
  std::thread two(work);
  double last = 0;
  bool monotonic = true;
  while (running > 0) {
    for (size_t i = 0; i < static_cast<size_t>(Family::Count_); ++i) registry.sweep();
    g_now += Registry::kGrace;  // read by this thread alone, unless a family is full
    const double now = registry.sum(Family::RequestsTotal);
    monotonic = monotonic && now >= last;
    last = now;
  }
  one.join();
  two.join();
  CHECK(monotonic);
  CHECK(registry.sum(Family::RequestsTotal) == 2 * kRounds);
}
