// SPDX-License-Identifier: Apache-2.0
#include "telemetry/exposition.h"

#include "telemetry/metrics.h"
#include "telemetry/process_metrics.h"
#include "unit/telemetry/exposition_parser.h"

using namespace tidegate;
using namespace tidegate::telemetry;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kOpenMetrics = "application/openmetrics-text";

std::map<std::string, ParsedFamily> scrape(const Registry& registry, bool open_metrics) {
  const Exposition text = expose(registry, open_metrics ? kOpenMetrics : "");
  return ExpositionParser(open_metrics).parse(text.body);
}

bool gives_open_metrics(std::string_view accept) {
  Registry registry;
  return expose(registry, accept).content_type.starts_with(kOpenMetrics);
}

enum class Method { Get };

}  // namespace

TEST_CASE("both formats parse strictly and say the same") {
  Registry registry;
  add_process_metrics(registry);
  Shard& shard = registry.add_shard();
  WorkerMetrics worker(shard);
  const RouteMetrics route(shard, "users");
  route.request(Method::Get);
  route.response(200, 3ms);
  route.response(404, 90s);
  worker.response(200);
  worker.request_size.observe(uint64_t{0});
  worker.error(ErrorCode::ClientClosed);

  for (const bool open_metrics : {false, true}) {
    CAPTURE(open_metrics);
    auto families = scrape(registry, open_metrics);
    const std::string requests = open_metrics ? "proxy_requests" : "proxy_requests_total";
    CHECK(families.at(requests).type == "counter");
    CHECK(families.at(requests).help == "Requests whose head was received.");
    CHECK(families.at(requests)
              .samples.at("proxy_requests_total")
              .at({{"route", "users"}, {"method", "GET"}}) == 1);
    auto& duration = families.at("proxy_request_duration_seconds").samples;
    const auto bucket = [&](const char* le) {
      return duration.at("proxy_request_duration_seconds_bucket")
          .at({{"route", "users"}, {"le", le}});
    };
    CHECK(bucket("0.0025") == 0);
    CHECK(bucket("0.005") == 1);
    CHECK(bucket(open_metrics ? "60.0" : "60") == 1);
    CHECK(bucket("+Inf") == 2);
    CHECK(duration.at("proxy_request_duration_seconds_sum").at({{"route", "users"}}) ==
          doctest::Approx(90.003));
    CHECK(families.at("proxy_build_info")
              .samples.at("proxy_build_info")
              .at({{"version", TIDEGATE_VERSION}}) == 1);
    CHECK(families.at("process_resident_memory_bytes")
              .samples.at("process_resident_memory_bytes")
              .at({}) > 100'000);
    CHECK(families.at("process_open_fds").samples.at("process_open_fds").at({}) >= 1);
  }
}

TEST_CASE("a label with quotes, backslashes and line feeds survives") {
  Registry registry;
  const std::string hostile = "a\"b\\c\nd{e}=,";
  registry.add_shard().counter(Family::BackendConnectionsTotal, {hostile, "x"}).add();
  for (const bool open_metrics : {false, true}) {
    auto families = scrape(registry, open_metrics);
    auto& family =
        families.at(open_metrics ? "proxy_backend_connections" : "proxy_backend_connections_total");
    CHECK(family.samples.at("proxy_backend_connections_total")
              .at({{"cluster", hostile}, {"endpoint", "x"}}) == 1);
  }
}

TEST_CASE("large counters keep their digits") {
  Registry registry;
  registry.add_shard().counter(Family::ResponsesTotal).add(9'007'199'254'740'991);
  CHECK(expose(registry, kOpenMetrics).body.find("proxy_responses_total 9007199254740991\n") !=
        std::string::npos);
}

TEST_CASE("Accept chooses the format") {
  CHECK_FALSE(gives_open_metrics(""));
  CHECK_FALSE(gives_open_metrics("*/*"));
  CHECK_FALSE(gives_open_metrics("text/plain"));
  CHECK(gives_open_metrics("application/openmetrics-text"));
  CHECK(gives_open_metrics("application/openmetrics-text; version=1.0.0; q=0.5, text/plain;q=0.3"));
  CHECK_FALSE(gives_open_metrics("application/openmetrics-text;q=0.2,text/plain;q=0.9"));
  CHECK_FALSE(gives_open_metrics("application/openmetrics-text;q=0"));
  CHECK_FALSE(gives_open_metrics("application/openmetrics-text;q=nonsense"));
  CHECK_FALSE(gives_open_metrics(",,;;=,q="));
}
