// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>

namespace tidegate {

/// The largest bound on all headers of one message that can be configured, in bytes. What forwards
/// messages must be able to send as much.
constexpr size_t kMostHeaderBytes = size_t{16} << 20;

}  // namespace tidegate
