// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>

#include "base/arena.h"
#include "base/clock.h"

namespace tidegate::proxy {

/// The value of a `grpc-timeout` field: up to eight digits and a unit of H, M, S, m, u or n.
/// Nothing if it is no such value. More than 365 days are 365 days.
std::optional<Duration> parse_grpc_timeout(std::string_view text);
/// In the finest unit that eight digits can hold, rounded down; at least "1n".
std::string_view format_grpc_timeout(Duration time, Arena& arena);

}  // namespace tidegate::proxy
