// SPDX-License-Identifier: Apache-2.0
// Rate limits.
#include <fmt/format.h>

#include "config/table.h"

namespace tidegate::config {
namespace {

Kind<Rate> rate_kind() {
  return scalar_kind<Rate>(
      "rate", Json{{"type", "string"}, {"pattern", "^[0-9]+/[smh]$"}},
      [](const std::string& given) { return parse_rate(given); },
      [](const Rate& rate) { return rate.count == 0 ? std::string() : format_rate(rate); });
}

Kind<Limit> key_kind() {
  static constexpr std::pair<const char*, LimitKey> kWords[] = {
      {"route", LimitKey::Route},   {"host", LimitKey::Host},     {"client_ip", LimitKey::ClientIp},
      {"global", LimitKey::Global}, {"script", LimitKey::Script},
  };
  constexpr std::string_view kHeader = "header:";
  Kind<Limit> kind{"word or header:NAME",
                   "route, host, client_ip, header:NAME, global, script",
                   Json{{"$ref", "#/$defs/text"}},
                   {},
                   {}};
  kind.read = [=](Reader& reader, const Node& node, Limit& to) {
    if (!reader.require(node, Node::Kind::Scalar, "a word or header:NAME")) return;
    for (const auto& [word, key] : kWords) {
      if (node.text != word) continue;
      to.key = key;
      return;
    }
    if (!node.text.starts_with(kHeader)) {
      return reader.fail(node, fmt::format("must be one of route, host, client_ip, header:NAME, "
                                           "global, script, got '{}'",
                                           node.text));
    }
    auto name = parse_header_name(node.text.substr(kHeader.size()));
    if (!name) return reader.fail(node, name.error());
    to.key = LimitKey::Header;
    to.key_header = *name;
  };
  kind.write = [=](const Limit& limit) {
    for (const auto& [word, key] : kWords) {
      if (limit.key == key) return Node::scalar(word);
    }
    return Node::scalar(std::string(kHeader) + limit.key_header);
  };
  return kind;
}

}  // namespace

const Section& limit_section() {
  static const Section kSection =
      SectionOf<Limit>("limits.NAME",
                       "A rate limit, shared by all workers; routes name it in `limits`, scripts "
                       "take from it by `proxy.limit`. Over it: 429.")
          .required("rate", &Limit::rate, rate_kind(),
                    "Requests per second, minute or hour: `1000/s`, `10/m`, `5/h`.")
          .field("burst", &Limit::burst, optional(count32(1, 100'000)),
                 "`sliding_window`: so many more than the rate in one period; by default none. "
                 "`token_bucket`: the bucket's size; by default the rate's number.")
          .field("algorithm", &Limit::algorithm,
                 enumeration<LimitAlgorithm>({{"sliding_window", LimitAlgorithm::SlidingWindow},
                                              {"token_bucket", LimitAlgorithm::TokenBucket}}),
                 "`sliding_window`: never more than the rate's number in any period as long as its "
                 "own. `token_bucket`: never more than burst + rate × time in any time.")
          .field("key", key_kind(),
                 "What is counted apart: each route, host, client address, value of a header (all "
                 "requests without it are one), nothing, or what a script says.")
          .field("ipv6_prefix", &Limit::ipv6_prefix, count32(1, 128),
                 "With `key: client_ip`, bits of an IPv6 address that count.")
          .field("max_keys", &Limit::max_keys, count32(1, 16'777'216),
                 "Keys counted apart at once; beyond it, new ones share counts.")
          .field("headers", &Limit::headers, flag(),
                 "Send `RateLimit` and `RateLimit-Policy` with every response, not only with 429.");
  return kSection;
}

const Section& adaptive_concurrency_section() {
  using namespace std::chrono_literals;
  static const Section kSection =
      SectionOf<AdaptiveConcurrency>(
          "clusters.NAME.limits.adaptive_concurrency",
          "Finds out how many requests the cluster takes before a queue forms in it, from the "
          "median "
          "time to the response head; nothing is refused to measure it. Requests count until their "
          "response begins. Given, it is on.")
          .field("min", &AdaptiveConcurrency::min, count32(1, 1'000'000),
                 "The limit never goes below this.")
          .field("max", &AdaptiveConcurrency::max, count32(1, 1'000'000), "Nor above this.")
          .field("tolerance", &AdaptiveConcurrency::tolerance, share(0, 100),
                 "How much longer than without a queue requests may take before the limit shrinks.")
          .field("window", &AdaptiveConcurrency::window, duration(100ms, 1min),
                 "How often the limit is worked out.");
  return kSection;
}

const Section& backoff_section() {
  using namespace std::chrono_literals;
  static const Section kSection =
      SectionOf<Backoff>("clusters.NAME.retry.backoff",
                         "The wait before a retry: at random up to base, doubled with each.")
          .field("base", &Backoff::base, duration(0ms, 1h), "Longest wait before the first retry.")
          .field("max", &Backoff::max, duration(0ms, 1h), "Longest wait before any.");
  return kSection;
}

const Section& hedge_section() {
  using namespace std::chrono_literals;
  static const Section kSection =
      SectionOf<Hedge>(
          "clusters.NAME.retry.hedge",
          "A second attempt, at another endpoint, beside one that is slow to answer: the "
          "first response head whose status is not one of `on` wins, the other attempt "
          "is cancelled. At most one per request, only for idempotent methods and bodies "
          "that fit into `buffer`; within `budget` and the cluster's `max_requests`, "
          "whatever `max_retries` says.")
          .field("delay", &Hedge::delay, duration(0ms, 1h),
                 "How long to wait for a response head, from when the request is whole, before "
                 "another endpoint is asked too; 0s: never.");
  return kSection;
}

const Section& retry_section() {
  using namespace std::chrono_literals;
  static const Section kSection =
      SectionOf<Retry>(
          "clusters.NAME.retry",
          "Further attempts, at another endpoint if there is one; never once a response "
          "has begun to go to the client.")
          .field("max_retries", &Retry::max_retries, count32(0, 100),
                 "Attempts after the first; 0: none.")
          .field(
              "on", &Retry::on, list_of(checked_text("failure", parse_retry_on)),
              "`connect`: no connection, a refused one too; `refused`: the origin gave an HTTP/2 "
              "stream back unprocessed, so that any method may be repeated; `reset`: the "
              "connection broke before the response; `timeout`: `per_try_timeout`; "
              "`bad_response`: what came is no HTTP; `4xx`, `5xx` or a status. `Retry-After` is "
              "waited for, if the route's `timeout` allows.")
          .field("non_idempotent", &Retry::non_idempotent, flag(),
                 "Also repeat POST and PATCH that may have reached the origin.")
          .field("per_try_timeout", &Retry::per_try_timeout, duration(0ms, 1h),
                 "For one attempt, from the request's end to the response head; 0s: the route's "
                 "`timeout`, which is for all of them.")
          .field("backoff", &Retry::backoff, nested<Backoff>(backoff_section()),
                 "How long to wait before a retry; not before the first one after a failed "
                 "connection, if "
                 "another endpoint is there.")
          .field(
              "budget", &Retry::budget, share(0, 100),
              "Retries and hedges, as a share of the requests of the last two seconds; over it and "
              "`budget_min`: none.")
          .field("budget_min", &Retry::budget_min, count32(0, 1'000'000),
                 "So many exchanges may be at a retry at once anyway.")
          .field("buffer", &Retry::buffer, size(0, 1ULL << 30),
                 "Largest part of a request's body that is kept to be sent again.")
          .field("hedge", &Retry::hedge, nested<Hedge>(hedge_section()),
                 "A second attempt beside a slow one.");
  return kSection;
}

const Section& cluster_limits_section() {
  static const Section kSection =
      SectionOf<ClusterLimits>("clusters.NAME.limits",
                               "Requests under way at the cluster at once; over it: 503 at once.")
          .field(
              "max_requests", &ClusterLimits::max_requests, count(0, UINT32_MAX),
              "Over all workers; 0: unlimited. A request that waits for its retry is not counted.")
          .field("adaptive_concurrency", &ClusterLimits::adaptive_concurrency,
                 optional(nested<AdaptiveConcurrency>(adaptive_concurrency_section())),
                 "A limit that finds itself.");
  return kSection;
}

}  // namespace tidegate::config
