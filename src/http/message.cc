// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <array>
#include <cstddef>

namespace tidegate::http {

Method method_of(std::string_view name) {
  switch (name.size()) {
    case 3:
      if (name == "GET") return Method::Get;
      if (name == "PUT") return Method::Put;
      break;
    case 4:
      if (name == "POST") return Method::Post;
      if (name == "HEAD") return Method::Head;
      break;
    case 5:
      if (name == "PATCH") return Method::Patch;
      if (name == "TRACE") return Method::Trace;
      break;
    case 6:
      if (name == "DELETE") return Method::Delete;
      break;
    case 7:
      if (name == "OPTIONS") return Method::Options;
      if (name == "CONNECT") return Method::Connect;
      break;
    default:
      break;
  }
  return Method::Other;
}

bool is_idempotent(Method method) {
  switch (method) {
    case Method::Get:
    case Method::Head:
    case Method::Put:
    case Method::Delete:
    case Method::Options:
    case Method::Trace:
      return true;
    case Method::Post:
    case Method::Connect:
    case Method::Patch:
    case Method::Other:
      break;
  }
  return false;
}

namespace {

struct Phrase {
  uint16_t status;
  std::string_view text;
};

// IANA's registry of HTTP status codes.
constexpr std::array<Phrase, 62> kPhrases{{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {104, "Upload Resumption Supported"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
}};

constexpr size_t kStatusEnd = 512;

consteval std::array<uint8_t, kStatusEnd> index_phrases() {
  std::array<uint8_t, kStatusEnd> positions{};  // 0: none, else one more than the position
  for (size_t i = 0; i < kPhrases.size(); ++i) {
    positions[kPhrases[i].status] = static_cast<uint8_t>(i + 1);
  }
  return positions;
}

constexpr std::array<uint8_t, kStatusEnd> kPhraseOf = index_phrases();

}  // namespace

std::string_view reason_phrase(unsigned status) {
  if (status >= kStatusEnd || kPhraseOf[status] == 0) return {};
  return kPhrases[kPhraseOf[status] - size_t{1}].text;
}

}  // namespace tidegate::http
