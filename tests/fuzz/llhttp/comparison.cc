// SPDX-License-Identifier: Apache-2.0
#include "fuzz/llhttp/comparison.h"

#include <algorithm>
#include <cstdio>

namespace tidegate::llhttp_diff {
namespace {

/// The codec drops fields from trailers that belong in heads; the rest is the same.
bool is_part_of(const Fields& part, const Fields& whole) {
  auto at = whole.begin();
  for (const auto& field : part) {
    while (at != whole.end() && *at != field) ++at;
    if (at == whole.end()) return false;
    ++at;
  }
  return true;
}

/// An absolute target overrules Host.
bool same_fields(const Message& codec, const Message& other) {
  if (codec.target.empty() || codec.target.front() == '/') return codec.fields == other.fields;
  Fields left = codec.fields;
  Fields right = other.fields;
  const auto is_host = [](const auto& field) { return field.first == "host"; };
  std::erase_if(left, is_host);
  std::erase_if(right, is_host);
  return left == right;
}

/// A 1xx or 204 ends with its head for the codec, which drops what it announces; llhttp reads on.
bool disregards_framing(const Message& codec, const Message& other, const std::string& error) {
  const bool bodiless = codec.start.starts_with("1") || codec.start.starts_with("204 ");
  if (bodiless && error == "HPE_INVALID_CONTENT_LENGTH") return true;
  return bodiless && std::any_of(other.fields.begin(), other.fields.end(), [](const auto& field) {
           return field.first == "content-length" || field.first == "transfer-encoding";
         });
}

/// What differs, or nullptr. `codec` may be incomplete: then so far.
const char* difference(const Message& codec, const Message& other) {
  if (!other.has_head) return "llhttp refuses the head";
  if (codec.start != other.start) return "first line";
  if (!same_fields(codec, other)) return "fields";
  if (codec.complete && !other.complete) return "llhttp does not see the end";
  if (!codec.complete && other.complete) return "llhttp sees an end";
  if (codec.body != other.body) return "body";
  if (!is_part_of(codec.trailers, other.trailers)) return "trailers";
  return nullptr;
}

}  // namespace

bool Comparison::compare(std::string_view bytes) {
  const Reading codec = read_by_codec(bytes, side_);
  const Reading other = read_by_llhttp(bytes, side_);
  for (size_t i = 0; i < codec.messages.size(); ++i) {
    const Message& message = codec.messages[i];
    const bool refused = !codec.error.empty() && i + 1 == codec.messages.size();
    if (i >= other.messages.size()) {
      if (other.upgraded) return true;
      return explain_wider(bytes, codec, i, other.error, "llhttp sees no such message");
    }
    if (refused && !message.complete) return explain_refusal(bytes, codec, other, i);
    if (disregards_framing(message, other.messages[i], other.error)) {
      ++counts_["wider: 1xx and 204 have no body, whatever they announce (RFC 9112 6.3)"];
      return true;
    }
    if (const char* what = difference(message, other.messages[i])) {
      return explain_wider(bytes, codec, i, other.error, what);
    }
  }
  if (codec.error.empty()) return true;
  return explain_refusal(bytes, codec, other, codec.messages.size());
}

void Comparison::report() const {
  for (const auto& [reason, count] : counts_) std::printf("%6zu  %s\n", count, reason.c_str());
}

bool Comparison::explain_wider(std::string_view bytes, const Reading& codec, size_t i,
                               const std::string& error, const char* what) {
  const Message& message = codec.messages[i];
  const char* reason = why_wider(bytes, i == 0 ? nullptr : &codec.messages[i - 1], error);
  if (reason == nullptr) {
    std::printf("%s (%s): %s\n", what, error.c_str(), message.start.c_str());
    return false;
  }
  ++counts_[std::string("wider: ") + reason];
  return true;
}

/// The codec refused message `i`.
bool Comparison::explain_refusal(std::string_view bytes, const Reading& codec, const Reading& other,
                                 size_t i) {
  if (i >= other.messages.size() || !other.messages[i].complete) {
    ++counts_["both refuse, or neither sees an end"];
    return true;
  }
  const Message& message = other.messages[i];
  const size_t begin = message.begin == SIZE_MAX ? 0 : message.begin;
  const size_t end_before = i == 0 ? 0 : other.messages[i - 1].body_end;
  size_t empty = begin;
  while (empty > end_before && (bytes[empty - 1] == '\r' || bytes[empty - 1] == '\n')) --empty;
  const char* reason = why_stricter(
      {bytes.substr(empty, begin - empty), bytes.substr(begin), message, codec.error, side_});
  if (reason == nullptr) {
    std::printf("refused (%s), but llhttp reads: %s\n", codec.error.c_str(), message.start.c_str());
    return false;
  }
  ++counts_[std::string("stricter: ") + reason];
  return true;
}

}  // namespace tidegate::llhttp_diff
