// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "upstream/balancer.h"

namespace tidegate::test {

/// A cluster of endpoints without sockets, and a balancer over it.
class BalancerRig final : public upstream::HashKeySource {
 public:
  explicit BalancerRig(std::string balancer, size_t count = 0) {
    config.balancer = std::move(balancer);
    for (size_t i = 0; i < count; ++i) add();
  }

  upstream::Endpoint& add(uint32_t weight = 1, std::map<std::string, std::string> tags = {}) {
    auto& endpoint = endpoints.emplace_back(std::make_unique<upstream::Endpoint>());
    endpoint->resolved.emplace_back();  // which is never connected to
    settings.push_back(std::make_unique<upstream::EndpointSettings>(weight, std::move(tags)));
    endpoint->address = "10.0.0." + std::to_string(next_name++) + ":80";
    balancer_.reset();
    return *endpoint;
  }
  void remove(size_t index) {
    endpoints.erase(endpoints.begin() + static_cast<std::ptrdiff_t>(index));
    settings.erase(settings.begin() + static_cast<std::ptrdiff_t>(index));
    balancer_.reset();
  }

  int pick(std::vector<const upstream::Endpoint*> tried = {}) {
    if (balancer_ == nullptr) {
      std::vector<upstream::Candidate> all;
      for (size_t i = 0; i < endpoints.size(); ++i) {
        all.push_back({endpoints[i].get(), settings[i].get()});
      }
      balancer_ = upstream::find_balancer(config.balancer)({all, config, kSeed});
    }
    return balancer_->pick({tried, now, this});
  }
  /// As `pick`, and the request stays under way.
  int begin() {
    const int index = pick();
    ++endpoints[static_cast<size_t>(index)]->active;
    return index;
  }
  int pick_for(std::string wanted) {
    key = std::move(wanted);
    return pick();
  }
  std::vector<int> shares(int picks) {
    std::vector<int> counts(endpoints.size());
    for (int i = 0; i < picks; ++i) ++counts[static_cast<size_t>(pick())];
    return counts;
  }
  void set_healthy(size_t index, bool to) { endpoints[index]->set_healthy(to, now); }

  std::string_view hash_key(const config::HashOn&) const override {
    ++key_asked;
    return key;
  }

  config::Cluster config;
  std::vector<std::unique_ptr<upstream::Endpoint>> endpoints;
  std::vector<std::unique_ptr<upstream::EndpointSettings>> settings;  // of each
  TimePoint now{std::chrono::hours(1)};
  std::string key;
  mutable int key_asked = 0;

 private:
  static constexpr uint64_t kSeed = 4711;
  std::unique_ptr<upstream::Balancer> balancer_;
  int next_name = 1;
};

inline bool near(int value, double wanted, double share) {
  return value > wanted * (1 - share) && value < wanted * (1 + share);
}

}  // namespace tidegate::test
