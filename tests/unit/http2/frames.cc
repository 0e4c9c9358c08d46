// SPDX-License-Identifier: Apache-2.0
#include "unit/http2/frames.h"

#include <nghttp2/nghttp2.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace tidegate::http::http2 {
namespace {

constexpr size_t kHeaderSize = 9;

uint32_t read32(std::string_view text) {
  uint32_t value = 0;
  for (const char c : text.substr(0, 4)) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

constexpr std::array<std::string_view, 10> kTypes{
    "DATA", "HEADERS", "PRIORITY", "RST_STREAM",    "SETTINGS",
    "PUSH", "PING",    "GOAWAY",   "WINDOW_UPDATE", "CONTINUATION"};
constexpr std::array<std::string_view, 12> kErrors{
    "NO_ERROR",         "PROTOCOL_ERROR",    "INTERNAL_ERROR",   "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT", "STREAM_CLOSED",     "FRAME_SIZE_ERROR", "REFUSED_STREAM",
    "CANCEL",           "COMPRESSION_ERROR", "CONNECT_ERROR",    "ENHANCE_YOUR_CALM"};

std::string error_name(uint32_t code) {
  return code < kErrors.size() ? std::string(kErrors[code]) : std::to_string(code);
}

}  // namespace

std::string be16(uint32_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string be32(uint32_t value) {
  return be16(value >> 16) + be16(value & 0xffff);
}

std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string text = be32(static_cast<uint32_t>(payload.size())).substr(1);
  text += static_cast<char>(type);
  text += static_cast<char>(flags);
  return text + be32(stream) + std::string(payload);
}

std::string hpack_integer(uint8_t first, unsigned prefix, uint64_t value) {
  const uint64_t most = (1u << prefix) - 1;
  if (value < most) return {static_cast<char>(first | value)};
  std::string text(1, static_cast<char>(first | most));
  for (value -= most; value >= 128; value /= 128) text += static_cast<char>(value % 128 + 128);
  return text + static_cast<char>(value);
}

std::string literals(const FieldTexts& fields) {
  std::string block;
  for (const auto& [name, value] : fields) {
    block += '\0';
    block += hpack_integer(0, 7, name.size()) + name;
    block += hpack_integer(0, 7, value.size()) + value;
  }
  return block;
}

std::string headers(uint32_t stream, const FieldTexts& fields, uint8_t flags) {
  return frame(kHeaders, flags | kEndHeaders, stream, literals(fields));
}

FieldTexts get_fields(const FieldTexts& more) {
  FieldTexts fields{
      {":method", "GET"}, {":scheme", "http"}, {":authority", "example.com"}, {":path", "/"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

FieldTexts post_fields(const FieldTexts& more) {
  FieldTexts fields = get_fields(more);
  fields[0].second = "POST";
  return fields;
}

std::string get(uint32_t stream, const FieldTexts& more) {
  return headers(stream, get_fields(more), kEndStream);
}

std::string data(uint32_t stream, std::string_view bytes, bool end) {
  return frame(kData, end ? kEndStream : kNoFlags, stream, bytes);
}

std::string settings(std::initializer_list<std::pair<uint16_t, uint32_t>> entries) {
  std::string payload;
  for (const auto& [id, value] : entries) payload += be16(id) + be32(value);
  return frame(kSettings, 0, 0, payload);
}

std::string window_update(uint32_t stream, uint32_t by) {
  return frame(kWindowUpdate, 0, stream, be32(by));
}

std::string rst_stream(uint32_t stream, uint32_t code) {
  return frame(kRstStream, 0, stream, be32(code));
}

std::string ping(std::string_view opaque, uint8_t flags) {
  return frame(kPing, flags, 0, opaque);
}

std::string goaway(uint32_t last, uint32_t code) {
  return frame(kGoaway, 0, 0, be32(last) + be32(code));
}

std::string client_preface() {
  return std::string(kMagic) + settings() + frame(kSettings, kAck, 0);
}

FrameReader::FrameReader(bool from_client) : magic_(from_client) {
  nghttp2_hd_inflate_new(&inflater_);
}

FrameReader::~FrameReader() {
  nghttp2_hd_inflate_del(inflater_);
}

FieldTexts FrameReader::inflate(std::string_view block) {
  FieldTexts fields;
  auto* at = reinterpret_cast<const uint8_t*>(block.data());
  size_t left = block.size();
  while (true) {
    nghttp2_nv pair;
    int flags = 0;
    const ssize_t taken = nghttp2_hd_inflate_hd2(inflater_, &pair, &flags, at, left, 1);
    if (taken < 0) throw std::runtime_error("a header block that can not be read");
    at += taken;
    left -= static_cast<size_t>(taken);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      fields.emplace_back(std::string(reinterpret_cast<char*>(pair.name), pair.namelen),
                          std::string(reinterpret_cast<char*>(pair.value), pair.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  return fields;
}

std::vector<Frame> FrameReader::read(std::string_view bytes) {
  bytes_.append(bytes);
  if (magic_ && bytes_.size() >= kMagic.size()) {
    if (!bytes_.starts_with(kMagic)) throw std::runtime_error("no preface");
    bytes_.erase(0, kMagic.size());
    magic_ = false;
  }
  std::vector<Frame> frames = std::exchange(begun_, {});
  while (bytes_.size() >= kHeaderSize) {
    const size_t size = read32(bytes_) >> 8;
    if (bytes_.size() < kHeaderSize + size) break;
    Frame next{static_cast<uint8_t>(bytes_[3]),
               static_cast<uint8_t>(bytes_[4]),
               read32(std::string_view(bytes_).substr(5)) & 0x7fffffff,
               bytes_.substr(kHeaderSize, size),
               {}};
    bytes_.erase(0, kHeaderSize + size);
    if (next.type == kContinuation && !frames.empty()) {
      frames.back().payload += next.payload;
      frames.back().flags |= next.flags;
    } else {
      frames.push_back(std::move(next));
    }
    Frame& last = frames.back();
    if (last.type == kHeaders && (last.flags & kEndHeaders) != 0) {
      last.fields = inflate(last.payload);
    }
  }
  if (!frames.empty() && frames.back().type == kHeaders &&
      (frames.back().flags & kEndHeaders) == 0) {
    begun_.push_back(std::move(frames.back()));
    frames.pop_back();
  }
  return frames;
}

std::string describe(const Frame& frame) {
  std::string text = frame.type < kTypes.size() ? std::string(kTypes[frame.type]) : "UNKNOWN";
  if (frame.stream != 0) text += " " + std::to_string(frame.stream);
  switch (frame.type) {
    case kHeaders:
      for (const auto& [name, value] : frame.fields) text += " " + name + "=" + value;
      break;
    case kData:
      text += frame.payload.size() > 40 ? " " + std::to_string(frame.payload.size()) + " bytes"
                                        : " \"" + frame.payload + "\"";
      break;
    case kRstStream:
      text += " " + error_name(read32(frame.payload));
      break;
    case kGoaway:
      text += " last " + std::to_string(read32(frame.payload)) + " " +
              error_name(read32(std::string_view(frame.payload).substr(4)));
      break;
    case kWindowUpdate:
      text += " " + std::to_string(read32(frame.payload));
      break;
    case kPing:
      text += (frame.flags & kAck) != 0 ? " ACK" : "";
      break;
    default:
      break;
  }
  const bool can_end = frame.type == kHeaders || frame.type == kData;
  if (can_end && (frame.flags & kEndStream) != 0) text += " END";
  return text;
}

std::string describe(const std::vector<Frame>& frames) {
  std::string text;
  for (const Frame& frame : frames) {
    if (frame.type == kSettings) continue;
    if (frame.type == kWindowUpdate && frame.stream == 0) continue;
    text += describe(frame) + "\n";
  }
  return text;
}

}  // namespace tidegate::http::http2
