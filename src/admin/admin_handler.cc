// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_handler.h"

#include "proxy/exchange.h"

namespace tidegate::admin {
namespace {

constexpr size_t kBodyLimit = 64 * 1024;

Request request_of(proxy::Exchange& exchange, std::string_view body) {
  const http::RequestHead& head = exchange.request();
  Request request;
  request.method = head.method_name;
  request.path = head.path;
  request.body = body;
  request.host = head.headers.get(http::HeaderId::Host);
  request.origin = head.headers.get(http::HeaderId::Origin);
  const http::HeaderField* fetch_site = head.headers.find("sec-fetch-site");
  if (fetch_site != nullptr) request.fetch_site = fetch_site->value();
  request.authorization = head.headers.get(http::HeaderId::Authorization);
  request.accept = head.headers.get(http::HeaderId::Accept);
  return request;
}

void answer(proxy::Exchange& exchange, const Response& response) {
  const std::vector<std::pair<std::string_view, std::string_view>> headers(response.headers.begin(),
                                                                           response.headers.end());
  exchange.answer({response.status, response.body, response.content_type, headers});
}

struct Waiter final : proxy::BodyWaiter {
  Waiter(AdminApi& the_api, proxy::Exchange& of) : api(the_api), exchange(of) {}
  void on_body(std::string_view body, const proxy::BodyError& error) override {
    if (error) return exchange.reject(error.code);
    answer(exchange, api.handle(request_of(exchange, body)));
  }
  AdminApi& api;
  proxy::Exchange& exchange;
};

}  // namespace

void AdminHandler::handle(proxy::Exchange& exchange) {
  // Lives until the body is there; the arena frees it with the exchange.
  auto* waiter = exchange.arena().make<Waiter>(api_, exchange);
  exchange.read_request_body(kBodyLimit, *waiter);
}

}  // namespace tidegate::admin
