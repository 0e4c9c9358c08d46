// SPDX-License-Identifier: Apache-2.0
// The root of the table.
#include "config/table.h"

namespace tidegate::config {
namespace {

using namespace std::chrono_literals;

Kind<uint32_t> workers_kind() {
  Kind<uint32_t> number = count32(1, 256);
  Kind<uint32_t> kind{"auto or a number",
                      number.range,
                      Json{{"anyOf", Json::array({Json{{"const", "auto"}}, number.schema})}},
                      {},
                      {}};
  kind.read = [number](Reader& reader, const Node& node, uint32_t& to) {
    if (node.is_scalar() && node.text == "auto") {
      to = 0;
    } else {
      number.read(reader, node, to);
    }
  };
  kind.write = [number](const uint32_t& workers) {
    return workers == 0 ? Node::scalar("auto") : number.write(workers);
  };
  return kind;
}

Kind<std::string> store_kind() {
  Kind<std::string> memory = choice({"memory"});
  Kind<std::string> kind = memory;
  kind.read = [memory](Reader& reader, const Node& node, std::string& to) {
    if (node.is_scalar() && node.text.starts_with("redis://")) {
      reader.fail(node, not_available("a redis:// store"));
    } else {
      memory.read(reader, node, to);
    }
  };
  return kind;
}

}  // namespace

const Section& snapshot_section() {
  static const Section kSection =
      SectionOf<Snapshot>("", "The top of the file.")
          .field("workers", &Snapshot::workers, workers_kind(),
                 "Threads that serve; `auto`: one per core.")
          .required("listeners", &Snapshot::listeners,
                    list_of(nested<Listener>(listener_section())), "Where clients connect.")
          .field("clusters", &Snapshot::clusters, named(nested<Cluster>(cluster_section())),
                 "Where requests can go.")
          .field("policies", &Snapshot::policies, named(nested<Policy>(policy_section())),
                 "Scripts in use.")
          .field("limits", &Snapshot::limits, named(nested<Limit>(limit_section())),
                 "Named rate limits.")
          .field("resolver", &Snapshot::resolver, nested<Resolver>(resolver_section()),
                 "Who answers DNS.")
          .required("routes", &Snapshot::routes, list_of(nested<Route>(route_section())),
                    "What to do with a request.")
          .field("default_policies", &Snapshot::default_policies, list_of(text("policy name")),
                 "Policies of every route, before its own.")
          .field("admin", &Snapshot::admin, nested<Admin>(admin_section()), "The admin address.")
          .field("log", &Snapshot::log, nested<Log>(log_section()), "Logging.")
          .field("drain_timeout", &Snapshot::drain_timeout, duration(0ms, 24h),
                 "How long a stop waits for exchanges under way.")
          .later("tracing", "OpenTelemetry traces.")
          .field("max_memory", &Snapshot::max_memory, size(0, 1ULL << 50),
                 "Resident memory of the process: from 90 % of it on, new connections are refused, "
                 "from 100 % on new requests too, with 503; 0: unlimited.")
          .field("store", &Snapshot::store, store_kind(), "Where scripts' shared state lives.");
  return kSection;
}

std::vector<const Section*> all_sections() {
  return {&snapshot_section(),
          &listener_section(),
          &listener_tls_section(),
          &certificate_section(),
          &http2_section(),
          &cluster_section(),
          &endpoint_section(),
          &dns_section(),
          &resolver_section(),
          &locality_section(),
          &breaker_section(),
          &health_check_section(),
          &pool_section(),
          &cluster_tls_section(),
          &cluster_limits_section(),
          &adaptive_concurrency_section(),
          &retry_section(),
          &backoff_section(),
          &hedge_section(),
          &policy_section(),
          &budget_section(),
          &limit_section(),
          &route_section(),
          &match_section(),
          &respond_section(),
          &redirect_section(),
          &admin_section(),
          &log_section()};
}

}  // namespace tidegate::config
