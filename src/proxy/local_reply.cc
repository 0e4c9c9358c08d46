// SPDX-License-Identifier: Apache-2.0
#include "proxy/local_reply.h"

#include <charconv>

#include "base/strings.h"
#include "http/header_table.h"
#include "proxy/context.h"
#include "proxy/exchange.h"

namespace tidegate::proxy {
namespace {

bool may_have_body(unsigned status) {
  return status >= 200 && status != 204 && status != 304;
}

// Framing belongs to the codec, whatever a script asks for.
bool is_framing(http::HeaderId id) {
  constexpr uint64_t kFramed =
      http::headers_with(http::kOneConnection) | http::header_bit(http::HeaderId::ContentLength);
  return (kFramed & http::header_bit(id)) != 0;
}

std::string_view lower_copy(std::string_view name, Arena& arena) {
  char* to = arena.chars(name.size());
  for (size_t i = 0; i < name.size(); ++i) to[i] = ascii_lower(name[i]);
  return {to, name.size()};
}

std::string_view decimal(uint64_t value, Arena& arena) {
  constexpr size_t kDigits = 20;
  char* to = arena.chars(kDigits);
  return {to, static_cast<size_t>(std::to_chars(to, to + kDigits, value).ptr - to)};
}

std::string_view grpc_status_of(uint16_t status, ErrorCode failure) {
  if (failure == ErrorCode::ExchangeTimeout) return "4";  // deadline exceeded
  switch (status) {
    case 400:
      return "13";  // internal
    case 401:
      return "16";  // unauthenticated
    case 403:
      return "7";  // permission denied
    case 404:
      return "12";  // gRPC status UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504:
      return "14";  // unavailable
    default:
      return "2";  // unknown
  }
}

// Percent-encoded, as the gRPC protocol has it; cut to what a header may hold.
std::string_view grpc_message(std::string_view text, Arena& arena) {
  constexpr size_t kMost = 1024;
  constexpr std::string_view kHex = "0123456789ABCDEF";
  text = text.substr(0, kMost);
  char* const to = arena.chars(text.size() * 3);
  size_t size = 0;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      to[size++] = c;
      continue;
    }
    to[size++] = '%';
    to[size++] = kHex[static_cast<uint8_t>(c) >> 4];
    to[size++] = kHex[static_cast<uint8_t>(c) & 15];
  }
  return {to, size};
}

}  // namespace

http::ResponseHead* local_response(const LocalReply& reply, WorkerContext& context, Arena& arena) {
  auto* head = arena.make<http::ResponseHead>(arena);
  head->status = reply.status;
  http::Headers& headers = head->headers;
  headers.reserve(reply.headers.size() + 4);
  const int64_t now = context.wall_clock.unix_ms(context.loop.now()) / 1000;
  headers.add(http::HeaderId::Date, arena.copy(context.date.at(now)));
  for (const auto& [name, value] : reply.headers) {
    const std::string_view lower = lower_copy(name, arena);
    const http::HeaderId id = http::header_id(lower);
    if (is_framing(id)) continue;
    // A message has one of these (RFC 9110 6.6.1, 8.3).
    const bool single = id == http::HeaderId::Date || id == http::HeaderId::ContentType;
    single ? headers.set(id, arena.copy(value)) : headers.add(lower, arena.copy(value));
  }
  if (!may_have_body(reply.status)) return head;
  if (!headers.has(http::HeaderId::ContentType) && !reply.body.empty()) {
    headers.add(http::HeaderId::ContentType, reply.content_type.empty()
                                                 ? "text/plain; charset=utf-8"
                                                 : arena.copy(reply.content_type));
  }
  head->body = http::BodyKind::Sized;
  head->content_length = reply.body.size();
  // Information only, but for a HEAD, whose response names the length without having it.
  headers.add(http::HeaderId::ContentLength, decimal(reply.body.size(), arena));
  return head;
}

bool is_grpc(const http::RequestHead& request) {
  constexpr std::string_view kType = "application/grpc";
  const std::string_view type = request.headers.get(http::HeaderId::ContentType);
  if (!type.starts_with(kType)) return false;
  return type.size() == kType.size() || type[kType.size()] == '+' || type[kType.size()] == ';';
}

http::ResponseHead* grpc_response(const LocalReply& reply, ErrorCode failure,
                                  WorkerContext& context, Arena& arena) {
  const std::string_view message =
      failure == ErrorCode::None ? reply.body : describe(failure).title;
  http::ResponseHead* head = local_response({200, {}, {}, reply.headers}, context, arena);
  // Without DATA, the head ends the stream.
  head->body = http::BodyKind::None;
  http::Headers& headers = head->headers;
  headers.remove(http::HeaderId::ContentLength);
  headers.set(http::HeaderId::ContentType, "application/grpc");
  headers.set("grpc-status", grpc_status_of(reply.status, failure));
  headers.set("grpc-message", grpc_message(message, arena));
  return head;
}

LocalReply problem_reply(ErrorCode code, uint16_t status, std::string_view request_id,
                         Arena& arena) {
  const ErrorInfo& info = describe(code);
  if (status == 0) status = info.status;
  std::string_view text =
      arena.join(R"({"type":"about:blank","title":")", info.title, R"(","status":)");
  text = arena.join(text, decimal(status, arena), R"(,"error":")");
  text = arena.join(text, info.token, R"(","request_id":")");
  text = arena.join(text, request_id, "\"}\n");
  return {status, text, "application/problem+json", {}};
}

}  // namespace tidegate::proxy
