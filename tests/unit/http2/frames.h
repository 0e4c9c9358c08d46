// SPDX-License-Identifier: Apache-2.0
// HTTP/2 frames made and read by hand, so that a test can send what no library would.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct nghttp2_hd_inflater;

namespace tidegate::http::http2 {

using FieldTexts = std::vector<std::pair<std::string, std::string>>;

enum FrameType : uint8_t {
  kData,
  kHeaders,
  kPriority,
  kRstStream,
  kSettings,
  kPushPromise,
  kPing,
  kGoaway,
  kWindowUpdate,
  kContinuation
};
enum FrameFlag : uint8_t {
  kNoFlags = 0,
  kEndStream = 1,
  kAck = 1,
  kEndHeaders = 4,
  kPadded = 8,
  kHasPriority = 32
};
enum ErrorNumber : uint32_t {
  kNoError,
  kProtocolError,
  kInternalError,
  kFlowControlError,
  kSettingsTimeout,
  kStreamClosed,
  kFrameSizeError,
  kRefusedStream,
  kCancel,
  kCompressionError,
  kConnectError,
  kEnhanceYourCalm
};

inline constexpr std::string_view kMagic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string be16(uint32_t value);
std::string be32(uint32_t value);
std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload = {});

/// A header block of literals that touch no table.
std::string literals(const FieldTexts& fields);
/// An integer of RFC 7541 5.1 behind the bits `first`.
std::string hpack_integer(uint8_t first, unsigned prefix, uint64_t value);

std::string headers(uint32_t stream, const FieldTexts& fields, uint8_t flags = 0);
/// GET of "/" from example.com, with `more` behind; ends the stream unless `flags` says otherwise.
FieldTexts get_fields(const FieldTexts& more = {});
FieldTexts post_fields(const FieldTexts& more = {});
std::string get(uint32_t stream, const FieldTexts& more = {});
std::string data(uint32_t stream, std::string_view bytes, bool end = false);
std::string settings(std::initializer_list<std::pair<uint16_t, uint32_t>> entries = {});
std::string window_update(uint32_t stream, uint32_t by);
std::string rst_stream(uint32_t stream, uint32_t code);
std::string ping(std::string_view opaque = "12345678", uint8_t flags = 0);
std::string goaway(uint32_t last, uint32_t code);
/// The client's preface with empty settings, and the acknowledgement of the server's.
std::string client_preface();

struct Frame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;
  FieldTexts fields;  // of HEADERS
};

/// Reads what a codec has sent. Heads are decompressed, in order.
class FrameReader {
 public:
  explicit FrameReader(bool from_client);
  ~FrameReader();

  /// Takes the frames that are complete; a header block in several is one, given when it has ended.
  std::vector<Frame> read(std::string_view bytes);
  size_t waiting() const { return bytes_.size(); }

 private:
  FieldTexts inflate(std::string_view block);

  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string bytes_;
  std::vector<Frame> begun_;  // the HEADERS of a block that goes on
  bool magic_;
};

/// "HEADERS 1 END_STREAM :status: 200, x: y" and its like; the codec's own SETTINGS, their
/// acknowledgement and connection windows are left out.
std::string describe(const Frame& frame);
std::string describe(const std::vector<Frame>& frames);

}  // namespace tidegate::http::http2
