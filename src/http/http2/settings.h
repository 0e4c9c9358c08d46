// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace tidegate::http::http2 {

/// What one side of an HTTP/2 connection announces and tolerates.
struct Settings {
  uint32_t max_concurrent_streams = 100;  // that the peer may open; a server's only
  /// Bytes that a peer may send on a stream nobody reads, so that much may come after `pause`.
  uint32_t stream_window = 256 * 1024;
  uint32_t connection_window = 1024 * 1024;
  uint32_t max_frame_size = 16 * 1024;  // 2^14 to 2^24 - 1
  uint32_t header_table = 4096;         // HPACK's, for what the peer sends

  // Against floods; see FrameBudget. Each ends the connection with ENHANCE_YOUR_CALM.
  uint32_t frame_budget = 2000;          // frames that get nothing done, above what work has earned
  uint32_t reset_budget = 200;           // streams broken off, above those that were completed
  uint32_t ignored_bytes = 1024 * 1024;  // of unknown frames and streams that are over
  uint32_t unsent_acks = 500;  // PING and SETTINGS acknowledgements the peer does not read
};

}  // namespace tidegate::http::http2
