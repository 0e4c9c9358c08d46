// SPDX-License-Identifier: Apache-2.0
#include "proxy/max_forwards.h"

#include <string>

#include "base/strings.h"
#include "http/header_table.h"
#include "proxy/exchange.h"

namespace tidegate::proxy {
namespace {

constexpr std::string_view kField = "max-forwards";
constexpr uint64_t kMost = 1'000'000'000;  // what a field says beyond counts as this many

bool is_reflected(const http::HeaderField& field) {
  const http::HeaderId id = field.id();
  const bool secret = id == http::HeaderId::Authorization || id == http::HeaderId::Cookie ||
                      id == http::HeaderId::ProxyAuthorization;
  return !secret && (http::traits_of(field) & http::kClaim) == 0;
}

}  // namespace

bool take_forward(http::RequestHead& head) {
  if (head.method != http::Method::Trace && head.method != http::Method::Options) return true;
  const http::HeaderField* field = head.headers.find(kField);
  if (field == nullptr || field->value().empty()) return true;
  const std::string_view text = field->value();
  // What is no number asks for nothing.
  if (text.find_first_not_of("0123456789") != std::string_view::npos) return true;
  const uint64_t left = parse_decimal(text, kMost).value_or(kMost);
  if (left == 0) return false;
  head.headers.set(kField, head.headers.arena().copy(std::to_string(left - 1)));
  return true;
}

std::string_view text_of_received(const http::RequestHead& head) {
  std::string text(head.method_name);
  text.append(" ").append(head.path);
  if (head.has_query) text.append("?").append(head.query);
  text.append(" HTTP/1.1\r\n");
  if (!head.headers.has(http::HeaderId::Host)) {
    text.append("host: ").append(head.authority).append("\r\n");
  }
  for (const http::HeaderField& field : head.headers) {
    if (!is_reflected(field)) continue;
    text.append(field.name()).append(": ").append(field.value()).append("\r\n");
  }
  return head.headers.arena().copy(text.append("\r\n"));
}

void answer_last_recipient(Exchange& exchange, std::string_view received) {
  if (exchange.request().method == http::Method::Options) return exchange.answer({});
  exchange.answer({200, received, "message/http", {}});
}

}  // namespace tidegate::proxy
