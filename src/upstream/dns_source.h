// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/timers.h"
#include "config/snapshot.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "upstream/endpoint_set.h"

namespace tidegate::upstream {

/// Keeps the endpoints of one cluster as DNS says: asks, asks again when the answer's time to live
/// has passed (within the cluster's bounds, and up to a tenth later, so that processes which began
/// together do not ask together), and tells what it learnt. Control thread.
class DnsSource {
 public:
  struct Outcome {
    net::LookupState state;
    /// Sorted, each address once. If Failed, empty, or what some questions were answered with and,
    /// for those that failed, what they were answered with last.
    std::vector<EndpointSpec> specs;
    std::string detail;  // if not Found
  };
  using OnOutcome = std::function<void(Outcome)>;

  /// `resolver` outlives it, or is replaced by `use`. `random` gives numbers from 0 to below 1.
  DnsSource(net::EventLoop& loop, config::Dns dns, std::function<double()> random,
            OnOutcome on_outcome);
  DnsSource(const DnsSource&) = delete;
  DnsSource& operator=(const DnsSource&) = delete;

  const config::Dns& config() const { return dns_; }
  /// Asks this one from now on, and at once.
  void use(net::Resolver& resolver);

 private:
  struct Round;
  using Question = std::pair<std::string, net::DnsRecordType>;
  void ask();
  void ask_addresses(const std::shared_ptr<Round>& round, const std::string& host,
                     const net::DnsService& service);
  void take_services(const std::shared_ptr<Round>& round, net::Lookup lookup);
  void take_addresses(Round& round, const Question& question, const net::DnsService& service,
                      net::Lookup lookup);
  void finish(Round& round);
  void ask_later(Duration after);

  net::EventLoop& loop_;
  const config::Dns dns_;
  const std::function<double()> random_;
  const OnOutcome on_outcome_;
  net::Resolver* resolver_ = nullptr;
  std::shared_ptr<Round> round_;  // the present one; older ones are not heard any more
  std::map<Question, std::vector<IpAddress>> answered_;  // last
  Timer refresh_;
  unsigned failures_ = 0;  // in a row
};

/// Gives each endpoint an address of the other family, if the same host has one there, to connect
/// to where its own does not answer; with `prefer_v4`, leaves those of IPv6 out that have one of
/// IPv4. For tests too.
void join_families(std::vector<EndpointSpec>& specs, bool prefer_v4);

/// The endpoint that `address` makes; `dns` says the rest. For tests too.
EndpointSpec endpoint_at(const config::Dns& dns, const IpAddress& address,
                         const net::DnsService& service);

}  // namespace tidegate::upstream
