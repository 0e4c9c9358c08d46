// SPDX-License-Identifier: Apache-2.0
// Every difference that is meant, with its reason. Anything else that llhttp reads and the codec
// refuses, or the other way round, fails the comparison.
#include <algorithm>
#include <array>

#include "fuzz/llhttp/reading.h"
#include "http/authority.h"
#include "http/http1/bytes.h"
#include "http/http1/framing.h"

namespace tidegate::llhttp_diff {
namespace {

size_t count(const Message& message, std::string_view name) {
  return static_cast<size_t>(
      std::count_if(message.fields.begin(), message.fields.end(),
                    [name](const auto& field) { return field.first == name; }));
}

std::string first(const Message& message, std::string_view name) {
  for (const auto& [field, value] : message.fields) {
    if (field == name) return value;
  }
  return "";
}

bool is_old(const Message& message) {
  return message.start.ends_with(" 1.0");
}

bool has_bare_line_end(const Refusal& c) {
  char last = 0;
  for (const std::string_view part : {c.empty_lines, c.bytes}) {
    for (const char b : part) {
      if ((b == '\n') != (last == '\r')) return true;
      last = b;
    }
  }
  return last == '\r';
}

bool has_fold(const Refusal& c) {
  return c.bytes.find("\r\n ") != std::string_view::npos ||
         c.bytes.find("\r\n\t") != std::string_view::npos;
}

bool has_bad_host(const Refusal& c) {
  if (c.side != Side::Requests) return false;
  if (count(c.message, "host") == 0) return !is_old(c.message);
  return count(c.message, "host") > 1 || !http::is_authority(first(c.message, "host"));
}

bool has_odd_length(const Refusal& c) {
  uint64_t length = 0;
  const size_t lengths = count(c.message, "content-length");
  return lengths > 1 || (lengths == 1 && !http::http1::parse_content_length(
                                             first(c.message, "content-length"), length));
}

bool has_odd_encoding(const Refusal& c) {
  const size_t encodings = count(c.message, "transfer-encoding");
  if (encodings == 0) return false;
  return encodings > 1 || is_old(c.message) || count(c.message, "content-length") > 0 ||
         !http::http1::equals_ignoring_case(first(c.message, "transfer-encoding"), "chunked");
}

bool has_odd_target(const Refusal& c) {
  if (c.side != Side::Requests) return false;
  const std::string& target = c.message.target;
  return target.find('#') != std::string::npos || target.empty() || target.front() != '/' ||
         c.message.start.starts_with("CONNECT ");
}

bool has_framing_trailer(const Refusal& c) {
  return std::any_of(c.message.trailers.begin(), c.message.trailers.end(), [](const auto& field) {
    return field.first == "content-length" || field.first == "transfer-encoding" ||
           field.first == "host";
  });
}

/// Without a name, or without the value that it promises.
bool has_odd_extension(const Refusal& c) {
  if (count(c.message, "transfer-encoding") == 0) return false;
  for (const std::string_view odd : {";;", ";\r", ";=", "=;", "=\r", "\";"}) {
    if (c.bytes.find(odd) != std::string_view::npos) return true;
  }
  return false;
}

bool has_long_chunk_line(const Refusal& c) {
  if (count(c.message, "transfer-encoding") == 0) return false;
  std::string_view body = c.bytes.substr(std::min(c.bytes.find("\r\n\r\n"), c.bytes.size()));
  for (size_t end = 0; end != std::string_view::npos; body.remove_prefix(end + 1)) {
    end = body.find('\n');
    if (body.substr(0, end).size() > 256) return true;
    if (end == std::string_view::npos) break;
  }
  return false;
}

/// ";a=b;"
bool has_extension_after_token(std::string_view bytes) {
  for (size_t at = bytes.find('='); at != std::string_view::npos; at = bytes.find('=', at + 1)) {
    size_t end = at + 1;
    while (end < bytes.size() && http::http1::is_token_byte(bytes[end])) ++end;
    if (end > at + 1 && end < bytes.size() && bytes[end] == ';') return true;
  }
  return false;
}

bool has_two_spaces(const Refusal& c) {
  return c.side == Side::Requests &&
         c.bytes.substr(0, c.bytes.find('\r')).find("  ") != std::string_view::npos;
}

bool has_odd_status(const Refusal& c) {
  if (c.side == Side::Requests) return false;
  const std::string_view status = c.bytes.substr(0, c.bytes.find('\r')).substr(9);
  const size_t digits = std::min(status.find(' '), status.size());
  return digits != 3 || status.front() == '0' ||
         !std::all_of(status.begin(), status.begin() + 3, http::http1::is_digit);
}

bool has_control_byte(const Refusal& c) {
  const std::string_view head = c.bytes.substr(0, c.bytes.find("\r\n\r\n"));
  return std::any_of(head.begin(), head.end(),
                     [](char b) { return http::http1::is_control(b) && b != '\r' && b != '\n'; });
}

bool has_odd_name(const Refusal& c) {
  return std::any_of(c.message.fields.begin(), c.message.fields.end(), [](const auto& field) {
    return field.first.empty() ||
           !std::all_of(field.first.begin(), field.first.end(), http::http1::is_token_byte);
  });
}

struct Reason {
  const char* text;
  bool (*applies)(const Refusal&);
};

constexpr std::array kStricter{
    Reason{"HTTP versions but 1.x are refused by name",
           [](const Refusal& c) {
             return c.error == "version_unsupported" ||
                    !(c.message.start.ends_with(" 1.0") || c.message.start.ends_with(" 1.1"));
           }},
    Reason{"expectations that nobody fulfils are refused (RFC 9110 10.1.1)",
           [](const Refusal& c) { return c.error == "expectation_failed"; }},
    Reason{"lines end in CRLF and nowhere else (RFC 9112 2.2 allows LF; others disagree on it)",
           has_bare_line_end},
    Reason{"at most two empty lines stand before a request, and one before a response",
           [](const Refusal& c) {
             return c.empty_lines.size() > (c.side == Side::Requests ? 4u : 2u);
           }},
    Reason{"folded lines are refused (RFC 9112 5.2)", has_fold},
    Reason{"one space stands between the parts of a request line (RFC 9112 3)", has_two_spaces},
    Reason{"a status has three digits (RFC 9112 4)", has_odd_status},
    Reason{"no control byte but tab stands in a head (RFC 9110 5.5)", has_control_byte},
    Reason{"a field name is a token, and there is one (RFC 9110 5.1)", has_odd_name},
    Reason{"a request has one Host, and a valid one (RFC 9112 3.2)", has_bad_host},
    Reason{"one Content-Length of plain digits, or none (RFC 9110 8.6)", has_odd_length},
    Reason{"one Transfer-Encoding of exactly chunked, in HTTP/1.1, or none", has_odd_encoding},
    Reason{"targets are of the four forms, http or https, without user or fragment",
           has_odd_target},
    Reason{"framing and routing have no place in trailers (RFC 9110 6.5.1)", has_framing_trailer},
    Reason{"chunk extensions keep to their grammar (RFC 9112 7.1.1)", has_odd_extension},
    Reason{"a chunk line has at most 256 bytes", has_long_chunk_line},
    Reason{"nobody asked for a tunnel",
           [](const Refusal& c) {
             return c.side != Side::Requests && c.message.start.starts_with("101 ");
           }},
};

}  // namespace

const char* why_stricter(const Refusal& refusal) {
  for (const Reason& reason : kStricter) {
    if (reason.applies(refusal)) return reason.text;
  }
  return nullptr;
}

const char* why_wider(std::string_view bytes, const Message* before, const std::string& error) {
  if (error == "HPE_CLOSED_CONNECTION" && before != nullptr && before->start.front() == '1') {
    return "the final response decides on the connection, not an interim one";
  }
  if (error == "HPE_INVALID_VERSION") return "a minor version above 1 counts as 1 (RFC 9110 2.5)";
  if (error == "HPE_INVALID_METHOD") return "any token is a method (RFC 9110 9.1)";
  if (error == "HPE_INVALID_CONTENT_LENGTH" && bytes.find('\t') != std::string_view::npos) {
    return "a value may end in tabs, as in spaces (RFC 9110 5.6.3)";
  }
  if (error == "HPE_STRICT" && bytes.find("=\"") != std::string_view::npos &&
      bytes.find('\\') != std::string_view::npos) {
    return "a quoted extension may hold quoted pairs (RFC 9110 5.6.4); llhttp 8 errs";
  }
  if (error == "HPE_INVALID_CHUNK_SIZE" && has_extension_after_token(bytes)) {
    return "an extension may follow one whose value is a token (RFC 9112 7.1.1); llhttp 8 errs";
  }
  return nullptr;
}

}  // namespace tidegate::llhttp_diff
