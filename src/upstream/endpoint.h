// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "config/snapshot.h"
#include "net/socket_address.h"
#include "upstream/breaker.h"
#include "upstream/latency.h"

namespace tidegate::upstream {

/// What its cluster says of an endpoint. Becomes another while the endpoint stays.
struct EndpointSettings {
  uint32_t weight = 1;
  std::map<std::string, std::string> tags;
  bool operator==(const EndpointSettings&) const = default;
};

/// An address that may become another while connections are made. Any thread.
class FallbackAddress {
 public:
  void set(std::optional<net::SocketAddress> to) {
    const std::lock_guard lock(mutex_);
    address_ = to;
  }
  std::optional<net::SocketAddress> get() const {
    const std::lock_guard lock(mutex_);
    return address_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<net::SocketAddress> address_;
};

/// One address in a cluster. Shared by all workers and kept over reloads and changes of the
/// cluster's endpoints for as long as it is among them; what changes while serving is atomic.
struct Endpoint {
  /// As configured; EndpointSettings have the rest.
  struct Target {
    std::string url;
    std::string scheme;
    config::Address address;
  };
  Target config;
  std::string address;         // "10.0.0.1:8080": what logs, metrics and scripts call it
  std::string host;            // its name
  std::string certified_name;  // what its certificate must be for, unless `tls.sni` says
  std::string authority;       // Host for `host: origin`: name[:port] as in the URL
  /// Of `proxy` if there is one; tried in order. Empty: the name has not been answered for yet, or
  /// does not resolve; the endpoint is never healthy, and once its name has addresses, or others
  /// than before, another endpoint takes its place.
  std::vector<net::SocketAddress> resolved;
  /// Tried after those, and no part of what makes this endpoint: where its host is to be reached by
  /// the other family of addresses.
  FallbackAddress fallback;
  std::optional<config::OutboundProxy> proxy;
  bool tunnelled = false;  // by CONNECT through it; else requests go to it in absolute form

  std::atomic<uint32_t> good_address{
      0};  // index in `resolved`, then `fallback`, of the last that answered
  std::atomic<uint32_t> active{0};        // requests under way, all workers
  std::atomic<uint32_t> latency_us{0};    // moving average of time to response head
  PeakLatency peak_latency;               // what the balancer `ewma` goes by
  std::atomic<bool> healthy{true};        // set by set_healthy
  std::atomic<bool> draining{false};      // set by set_draining
  std::atomic<int64_t> warm_since_ns{0};  // steady clock: came, or came back; 0: with the process

  Breaker breaker;  // closed where the cluster has none

  /// Requests go to its proxy, which passes them on.
  bool by_absolute_form() const { return proxy && !tunnelled; }

  bool available(TimePoint now) const {
    return healthy.load(std::memory_order_relaxed) && !draining.load(std::memory_order_relaxed) &&
           breaker.allows(now);
  }

  /// Balancers keep lists of who is available; any change to it, of any endpoint, counts up here,
  /// and they look again. Changes are rare, so one number for all clusters will do.
  static uint64_t changes() { return changes_.load(std::memory_order_acquire); }
  static void note_change() { changes_.fetch_add(1, std::memory_order_release); }

  /// True: it was otherwise before. Any thread.
  bool set_healthy(bool to, TimePoint now) {
    return set(healthy, to && !resolved.empty(), to, now);
  }
  bool set_draining(bool to, TimePoint now) { return set(draining, to, !to, now); }
  /// Closes its breaker, whatever it has seen. True: it was not closed.
  bool reset_breaker(TimePoint now) {
    if (!breaker.reset()) return false;
    begin_slow_start(now);
    note_change();
    return true;
  }
  /// Its slow start, if its cluster has one, begins.
  void begin_slow_start(TimePoint now) {
    warm_since_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }

 private:
  bool set(std::atomic<bool>& flag, bool to, bool comes_back, TimePoint now) {
    if (flag.load(std::memory_order_relaxed) == to) return false;
    if (comes_back) begin_slow_start(now);
    const bool changed = flag.exchange(to, std::memory_order_relaxed) != to;
    if (changed) note_change();
    return changed;
  }

  static inline std::atomic<uint64_t> changes_{1};
};

}  // namespace tidegate::upstream
