// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "telemetry/access_record.h"
#include "telemetry/line_buffer.h"
#include "telemetry/log.h"
#include "telemetry/wall_clock.h"

namespace tidegate::telemetry {

/// Texts that a client chooses are cut at this many bytes, paths and queries at kMaxAccessPath.
inline constexpr size_t kMaxAccessText = 512;
inline constexpr size_t kMaxAccessPath = 8192;

/// Writes `record` as one line with its line feed, after what `to` holds.
void format_access(const AccessRecord& record, log::Format format, TimestampText& timestamps,
                   LineBuffer& to);

}  // namespace tidegate::telemetry
