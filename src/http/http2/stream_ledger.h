// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::http::http2 {

/// Tracks the state of each stream as the peer's frames have changed it (RFC 9113 5.1). Reads frame
/// headers only.
/// A stream that the peer has ended or reset, or whose number it has passed over, takes neither
/// HEADERS nor DATA any more; nghttp2, which is told to keep no closed streams, ignores them. What
/// may have crossed a reset of the proxy's is no breach: the peer had not ended the stream.
class StreamLedger {
 public:
  /// The peer that sends the frames. A client opens streams and sends the connection preface first.
  enum class Of : uint8_t { Client, Origin };
  /// `streams`: that may be open at a time.
  StreamLedger(Of peer, size_t streams);

  /// To an origin: the proxy begins this stream.
  void opened(uint32_t stream) { begin(stream, false); }

  struct Breach {
    size_t at = 0;      // bytes that stand before the frame
    uint32_t code = 0;  // for GOAWAY; 0: there is none
  };
  /// The next bytes of the connection. After a breach the ledger is of no more use.
  Breach read(std::string_view bytes);

 private:
  uint32_t on_frame(uint8_t type, uint8_t flags, uint32_t stream);
  uint32_t go_on(uint32_t stream, bool end);
  void begin(uint32_t stream, bool end);
  bool passed_over(uint32_t stream) const;

  static constexpr size_t kHeader = 9;

  std::array<uint8_t, kHeader> header_{};
  size_t header_size_ = 0;
  size_t skip_;             // bytes up to the next header
  bool in_block_ = false;   // CONTINUATION follows
  uint32_t last_ = 0;       // the highest stream so far
  uint32_t forgotten_ = 0;  // of streams up to this one it is not known whether they are open
  const Of peer_;
  const size_t most_open_;
  std::vector<uint32_t> open_;                       // not ended by the peer, in order
  std::vector<std::pair<uint32_t, uint32_t>> gaps_;  // numbers passed over, first and last
};

}  // namespace tidegate::http::http2
