// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "base/counters.h"
#include "base/timers.h"
#include "proxy/attempt.h"
#include "upstream/cluster_load.h"

namespace tidegate::proxy {

/// A second attempt beside a first that is slow to answer: part of the exchange, in its arena, for
/// requests that may have one. exchange_hedge.cc moves it:
///
///     Armed ── delay over, and allowed ──▶ Choosing ── an endpoint ──▶ Racing
///     Choosing ── nobody else to ask, or the first's head ──▶ Lost
///     Choosing ── an endpoint, but the first has failed ──▶ Alone
///     Racing ── this one's head ──▶ Won;  ── the first's, or this one fails ──▶ Lost
///     Racing ── the first fails ──▶ Alone
///     Alone ── its head ──▶ Won;  ── it fails ──▶ Lost
struct Hedge {
  enum class State : uint8_t { Armed, Choosing, Racing, Alone, Lost, Won };

  Hedge(Timer::Fire due, void* owner) : timer(due, owner) {}
  void leave_place() {
    for (uint64_t* place : {places.active, places.unanswered}) {
      if (place != nullptr) give_place_back(*place);
    }
    places = {};
  }

  Timer timer;
  Attempt* attempt = nullptr;            // in the arena too, from Racing on
  upstream::ClusterLoad::Places places;  // taken among the cluster's requests
  State state = State::Armed;
  bool took_place = false;  // beyond the share of requests, for this
};

}  // namespace tidegate::proxy
