// SPDX-License-Identifier: Apache-2.0
#include "proxy/filter_chain.h"

#include <array>

namespace tidegate::proxy {

std::string_view to_string(Hook hook) {
  constexpr std::array<std::string_view, static_cast<size_t>(Hook::Count_)> kNames{
      "on_request", "select_backend", "on_response", "on_error", "on_log"};
  return kNames[static_cast<size_t>(hook)];
}

FilterChain::FilterChain(FilterSource& source, std::span<const std::string> policies)
    : source_(source) {
  for (const std::string& policy : policies) {
    Filter* filter = source.find_filter(policy);
    if (filter == nullptr) continue;  // the configuration was checked: only during shutdown
    source.acquire(*filter);
    filters_.push_back(filter);
    hooks_ |= filter->hooks();
  }
}

FilterChain::~FilterChain() {
  for (Filter* filter : filters_) source_.give_back(*filter);
}

}  // namespace tidegate::proxy
