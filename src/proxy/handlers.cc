// SPDX-License-Identifier: Apache-2.0
// The handlers of `respond`, `redirect` and `echo`.
#include <string>
#include <utility>
#include <vector>

#include "proxy/exchange.h"
#include "proxy/handler.h"
#include "telemetry/line_buffer.h"

namespace tidegate::proxy {
namespace {

using Field = std::pair<std::string_view, std::string_view>;

class RespondHandler final : public Handler {
 public:
  explicit RespondHandler(const config::Respond& respond) : respond_(respond) {
    for (const auto& [name, value] : respond.headers) headers_.emplace_back(name, value);
  }
  void handle(Exchange& exchange) override {
    exchange.answer({respond_.status, respond_.body, respond_.content_type, headers_});
  }

 private:
  const config::Respond& respond_;
  std::vector<Field> headers_;
};

class RedirectHandler final : public Handler {
 public:
  explicit RedirectHandler(const config::Redirect& redirect) : redirect_(redirect) {}

  void handle(Exchange& exchange) override {
    const Field location{"location", target(exchange)};
    exchange.answer({redirect_.status, {}, {}, {&location, 1}});
  }

 private:
  // `to` with {path} and {query} replaced; "?" before an empty query goes with it.
  std::string_view target(Exchange& exchange) const {
    Arena& arena = exchange.arena();
    const http::RequestHead& request = exchange.request();
    std::string_view result;
    std::string_view rest = redirect_.to;
    while (true) {
      const size_t open = rest.find('{');
      const std::string_view before = rest.substr(0, open);
      result = arena.join(result, before);
      if (open == std::string_view::npos) return result;
      rest.remove_prefix(open);
      if (rest.starts_with("{path}")) {
        result = arena.join(result, request.path);
        rest.remove_prefix(6);
      } else if (rest.starts_with("{query}")) {
        if (request.query.empty() && result.ends_with('?')) result.remove_suffix(1);
        result = arena.join(result, request.query);
        rest.remove_prefix(7);
      } else {
        result = arena.join(result, rest.substr(0, 1));
        rest.remove_prefix(1);
      }
    }
  }

  const config::Redirect& redirect_;
};

/// Answers with what arrived, as JSON: what a policy did to a request can be seen in it.
class EchoHandler final : public Handler {
 public:
  void handle(Exchange& exchange) override {
    // Lives until the body is there; the arena frees it with the exchange.
    auto* waiter = exchange.arena().make<Waiter>(exchange);
    exchange.read_request_body(kBodyLimit, *waiter);
  }

 private:
  static constexpr size_t kBodyLimit = 1024 * 1024;

  struct Waiter final : BodyWaiter {
    explicit Waiter(Exchange& e) : exchange(e) {}
    void on_body(std::string_view body, const BodyError& error) override {
      if (error) return exchange.reject(error.code);
      echo(exchange, body);
    }
    Exchange& exchange;
  };

  static void quoted(telemetry::LineBuffer& to, std::string_view text) {
    to.put('"');
    to.put_escaped(text);
    to.put('"');
  }

  static void member(telemetry::LineBuffer& to, std::string_view name, std::string_view value) {
    to.put("  ");
    quoted(to, name);
    to.put(": ");
    quoted(to, value);
    to.put(",\n");
  }

  static void echo(Exchange& exchange, std::string_view body) {
    const http::RequestHead& request = exchange.request();
    telemetry::LineBuffer text;
    text.put("{\n");
    member(text, "method", request.method_name);
    member(text, "path", request.path);
    member(text, "query", request.query);
    text.put("  \"headers\": {");
    std::string_view separator = "\n    ";
    for (const http::HeaderField& field : request.headers) {
      text.put(separator);
      quoted(text, field.name());
      text.put(": ");
      quoted(text, field.value());
      separator = ",\n    ";
    }
    text.put("\n  },\n  \"body\": ");
    quoted(text, body);
    text.put("\n}\n");
    exchange.answer({200, text.view(), "application/json", {}});
  }
};

}  // namespace

std::unique_ptr<Handler> make_handler(const config::Route& route) {
  if (route.respond) return std::make_unique<RespondHandler>(*route.respond);
  if (route.redirect) return std::make_unique<RedirectHandler>(*route.redirect);
  if (route.echo) return std::make_unique<EchoHandler>();
  return nullptr;
}

}  // namespace tidegate::proxy
