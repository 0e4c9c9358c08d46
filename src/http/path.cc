// SPDX-License-Identifier: Apache-2.0
#include "http/path.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/strings.h"

namespace tidegate::http {
namespace {

enum class Kind : uint8_t { Plain, Slash, Percent, Encoded, Refused };

// Bytes that no URI holds but clients send raw (RFC 3986 2): the canonical form has their escapes.
constexpr std::string_view kEncoded = "\"<>^`{|}";

constexpr std::array<Kind, 256> build_kinds() {
  std::array<Kind, 256> kinds{};
  for (size_t c = 0; c < kinds.size(); ++c) {
    kinds[c] = c <= 0x20 || c >= 0x7f ? Kind::Refused : Kind::Plain;
  }
  for (char c : std::string_view("\\#?")) kinds[static_cast<uint8_t>(c)] = Kind::Refused;
  for (char c : kEncoded) kinds[static_cast<uint8_t>(c)] = Kind::Encoded;
  kinds['/'] = Kind::Slash;
  kinds['%'] = Kind::Percent;
  return kinds;
}

constexpr std::array<Kind, 256> kKinds = build_kinds();

Kind kind_of(char c) {
  return kKinds[static_cast<uint8_t>(c)];
}

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

bool is_encoded_slash(char decoded) {
  return decoded == '/' || decoded == '\\';
}

/// The byte that the escape at `at` stands for, or -1 where it is broken or %00.
int decode_escape(std::string_view text, size_t at) {
  if (text.size() - at < 3) return -1;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  if (high < 0 || low < 0 || (high | low) == 0) return -1;
  return high << 4 | low;
}

bool is_dots(std::string_view segment) {
  return segment == "." || segment == "..";
}

/// The segment that begins at `at` is "." or "..".
bool dots_at(std::string_view path, size_t at) {
  if (at == path.size() || path[at] != '.') return false;
  return is_dots(path.substr(at, path.find('/', at) - at));
}

/// How far `path` is canonical, and so need not be rewritten: its size if wholly.
size_t canonical_until(std::string_view path, Slashes slashes, bool& has_encoded_slash) {
  for (size_t i = 0; i < path.size(); ++i) {
    while (kind_of(path[i]) == Kind::Plain) {
      if (++i == path.size()) return i;
    }
    switch (kind_of(path[i])) {
      case Kind::Plain:
        break;
      case Kind::Slash:
        if (slashes == Slashes::Merge && i + 1 < path.size() && path[i + 1] == '/') return i;
        if (dots_at(path, i + 1)) return i;
        break;
      case Kind::Percent: {
        const int decoded = decode_escape(path, i);
        if (decoded < 0 || is_unreserved(static_cast<char>(decoded))) return i;
        if (path[i + 1] >= 'a' || path[i + 2] >= 'a') return i;  // lower-case digits
        has_encoded_slash = has_encoded_slash || is_encoded_slash(static_cast<char>(decoded));
        i += 2;
        break;
      }
      case Kind::Encoded:
      case Kind::Refused:
        return i;
    }
  }
  return path.size();
}

constexpr size_t kEscapeSize = 3;

/// Room for `text` once what is Encoded has been escaped.
size_t room_for(std::string_view text) {
  const auto encoded =
      std::ranges::count_if(text, [](char c) { return kind_of(c) == Kind::Encoded || c == '\\'; });
  return text.size() + static_cast<size_t>(encoded) * (kEscapeSize - 1);
}

char* write_escape(char* to, int byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  *to++ = '%';
  *to++ = kDigits[static_cast<size_t>(byte) >> 4];
  *to++ = kDigits[static_cast<size_t>(byte) & 15];
  return to;
}

/// Writes the canonical form of a path, segment by segment.
class Writer {
 public:
  Writer(char* to, Slashes slashes) : to_(to), merges_(slashes == Slashes::Merge) {}

  /// A slash begins a segment. False: the one before it leads above the root.
  bool begin_segment() {
    if (size_ > 0 && !end_segment()) return false;
    const bool there = size_ > 0 && to_[size_ - 1] == '/' && (merges_ || resolved_);
    if (!there) to_[size_++] = '/';
    segment_ = size_;
    return true;
  }
  /// Resolves the segment if it is made of dots; what is left ends with a slash then.
  bool end_segment() {
    const std::string_view segment(to_ + segment_, size_ - segment_);
    resolved_ = is_dots(segment);
    if (segment == ".") {
      size_ = segment_;
    } else if (segment == "..") {
      if (segment_ == 1) return false;
      size_ = segment_ - 1;
      while (to_[size_ - 1] != '/') --size_;
    }
    return true;
  }
  void put(char c) { to_[size_++] = c; }
  void put_escape(int byte) { size_ = static_cast<size_t>(write_escape(to_ + size_, byte) - to_); }
  std::string_view text() const { return {to_, size_}; }

 private:
  char* to_;
  size_t size_ = 0;
  size_t segment_ = 0;
  bool merges_;
  bool resolved_ = false;  // the last segment was one of dots, and has left its slash
};

bool rewrite(std::string_view raw, Writer& writer, bool& has_encoded_slash) {
  for (size_t i = 0; i < raw.size(); ++i) {
    switch (kind_of(raw[i])) {
      case Kind::Plain:
        writer.put(raw[i]);
        break;
      case Kind::Slash:
        if (!writer.begin_segment()) return false;
        break;
      case Kind::Percent: {
        const int decoded = decode_escape(raw, i);
        if (decoded < 0) return false;
        i += 2;
        if (is_unreserved(static_cast<char>(decoded))) {
          writer.put(static_cast<char>(decoded));
          break;
        }
        has_encoded_slash = has_encoded_slash || is_encoded_slash(static_cast<char>(decoded));
        writer.put_escape(decoded);
        break;
      }
      case Kind::Encoded:
        writer.put_escape(static_cast<uint8_t>(raw[i]));
        break;
      case Kind::Refused:
        return false;
    }
  }
  return writer.end_segment();
}

/// Dots that become a segment once an origin decodes the slashes beside them.
bool hides_dots(std::string_view path) {
  size_t start = 1;
  for (size_t i = 1; i <= path.size(); ++i) {
    const bool escape = i + 2 < path.size() && path[i] == '%';
    const bool encoded = escape && is_encoded_slash(static_cast<char>(decode_escape(path, i)));
    if (i < path.size() && path[i] != '/' && !encoded) continue;
    if (is_dots(path.substr(start, i - start))) return true;
    if (encoded) i += 2;
    start = i + 1;
  }
  return false;
}

}  // namespace

Result<CanonicalPath> normalise_path(std::string_view raw, Arena& arena, Slashes slashes) {
  if (raw == "*") return CanonicalPath{raw};
  if (raw.empty() || raw.front() != '/') return tl::unexpected(ErrorCode::BadRequest);
  CanonicalPath path{raw};
  if (canonical_until(raw, slashes, path.has_encoded_slash) < raw.size()) {
    Writer writer(arena.chars(room_for(raw)), slashes);
    if (!rewrite(raw, writer, path.has_encoded_slash)) {
      return tl::unexpected(ErrorCode::BadRequest);
    }
    path.text = writer.text();
  }
  if (path.has_encoded_slash && hides_dots(path.text)) {
    return tl::unexpected(ErrorCode::BadRequest);
  }
  return path;
}

std::string_view normalise_query(std::string_view raw, Arena& arena) {
  const auto needs_escape = [](char c) { return kind_of(c) == Kind::Encoded || c == '\\'; };
  if (std::ranges::none_of(raw, needs_escape)) return raw;
  char* const to = arena.chars(room_for(raw));
  char* at = to;
  for (const char c : raw) {
    if (needs_escape(c)) {
      at = write_escape(at, static_cast<uint8_t>(c));
    } else {
      *at++ = c;
    }
  }
  return {to, static_cast<size_t>(at - to)};
}

}  // namespace tidegate::http
