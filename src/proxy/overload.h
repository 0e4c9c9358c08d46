// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>

namespace tidegate::proxy {

/// What the process has too much of at present. Set by the control thread, read by all workers.
struct Overload {
  std::atomic<bool> refuse_connections{false};  // new clients' connections are closed at once
  std::atomic<bool> refuse_requests{false};     // 503, before anything is done for them
};

}  // namespace tidegate::proxy
