// SPDX-License-Identifier: Apache-2.0
#include "proxy/max_forwards.h"

#include <string>

#include "base/strings.h"
#include "proxy/exchange.h"

namespace tidegate::proxy {
namespace {

constexpr std::string_view kField = "max-forwards";
constexpr uint64_t kMost = 1'000'000'000;  // what a field says beyond counts as this many

bool is_secret(http::HeaderId id) {
  return id == http::HeaderId::Authorization || id == http::HeaderId::Cookie ||
         id == http::HeaderId::ProxyAuthorization;
}

std::string as_text(const http::RequestHead& request) {
  std::string text(request.method_name);
  text.append(" ").append(request.path);
  if (request.has_query) text.append("?").append(request.query);
  text.append(" HTTP/1.1\r\n");
  for (const http::HeaderField& field : request.headers) {
    if (is_secret(field.id())) continue;
    text.append(field.name()).append(": ").append(field.value()).append("\r\n");
  }
  return text + "\r\n";
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

void answer_last_recipient(Exchange& exchange) {
  if (exchange.request().method == http::Method::Options) return exchange.answer({});
  exchange.answer({200, as_text(exchange.request()), "message/http", {}});
}

}  // namespace tidegate::proxy
