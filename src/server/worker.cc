// SPDX-License-Identifier: Apache-2.0
#include "server/worker.h"

#include <algorithm>

#include "proxy/exchange.h"
#include "telemetry/log.h"

namespace tidegate::server {
namespace {

// While draining: how often a worker looks whether anything is left.
constexpr auto kDrainCheck = std::chrono::milliseconds(10);

}  // namespace

WorkerListener::WorkerListener(Worker& worker, ListenerHandover given,
                               proxy::ListenerRuntime* runtime)
    : worker_(worker),
      key_(std::move(given.key)),
      runtime_(runtime),
      socket_(worker.loop(), *this, std::move(given.fd), given.uses_reserve) {}

WorkerListener::~WorkerListener() {
  runtime_->unpin();
}

void WorkerListener::use(proxy::ListenerRuntime* runtime) {
  std::swap(runtime_, runtime);
  runtime->unpin();
}

void WorkerListener::on_accept(net::OwnedFd fd, const net::SocketAddress& peer) {
  worker_.accept(*runtime_, std::move(fd), peer);
}

void WorkerListener::on_accept_exhausted() {
  worker_.context().metrics.accept_errors_total.add();
  log::log_limited("accept", log::Level::Warn, "cannot accept: out of descriptors or memory",
                   {{"listener", runtime_->config.name}});
}

Worker::Worker(unsigned index, telemetry::Shard& shard, telemetry::AccessLog* access_log,
               MakeFilters make_filters)
    : make_filters_(std::move(make_filters)),
      context_(loop_, shard),
      pools_(loop_, context_.metrics.backend_connections_active),
      drain_check_([](void* self) { static_cast<Worker*>(self)->check_drained(); }, this) {
  context_.access_log = access_log;
  context_.worker = index;
}

Worker::~Worker() {
  tear_down();
}

proxy::FilterSource& Worker::filters() {
  if (filters_ == nullptr) filters_ = make_filters_();
  return *filters_;
}

void Worker::tear_down() {
  listeners_.clear();
  while (!connections_.empty()) connections_.front().cut();
  while (!context_.exchanges.empty()) context_.exchanges.front().abandon();
  // Exchanges wait to be destroyed, and hold the last pins on route tables and filters.
  loop_.destroy_doomed();
  drop_retired();
  if (context_.routes != nullptr) std::exchange(context_.routes, nullptr)->unpin();
  loop_.destroy_doomed();
  filters_.reset();
}

// In a turn of its own: where there are a thousand routes, it takes as long as making them.
void Worker::drop_retired() {
  for (proxy::RouteTable* routes : std::exchange(retired_, {})) routes->unpin();
}

void Worker::adopt(std::shared_ptr<const proxy::SharedSnapshot> snapshot,
                   std::vector<ListenerHandover> listeners) {
  if (context_.draining) return;  // its listeners are gone, and what runs ends as it began
  auto* routes =
      new proxy::RouteTable(snapshot, filters(), pools_, context_.shard, context_.routes);
  std::swap(context_.routes, routes);
  if (routes != nullptr) {
    retired_.push_back(routes);
    loop_.post([this] { drop_retired(); });
  }
  std::vector<std::unique_ptr<WorkerListener>> kept;
  for (ListenerHandover& given : listeners) {
    auto* runtime = new proxy::ListenerRuntime(snapshot, snapshot->config.listeners[given.index],
                                               given.connections);
    runtime->port = given.port;
    if (given.fd) {
      kept.push_back(std::make_unique<WorkerListener>(*this, std::move(given), runtime));
      continue;
    }
    const auto same = [&](const auto& l) { return l != nullptr && l->key() == given.key; };
    const auto at = std::ranges::find_if(listeners_, same);
    if (at == listeners_.end()) {
      log::error("a listener has no socket in this worker",
                 {{"listener", runtime->config.name}, {"worker", context_.worker}});
      runtime->unpin();
      continue;
    }
    (*at)->use(runtime);
    kept.push_back(std::move(*at));
  }
  for (const auto& dropped : listeners_) {
    if (dropped != nullptr) dropped->accept_rest();
  }
  listeners_ = std::move(kept);
}

void Worker::accept(proxy::ListenerRuntime& listener, net::OwnedFd fd,
                    const net::SocketAddress& peer) {
  if (listener.connections->load(std::memory_order_relaxed) >= listener.config.max_connections) {
    context_.metrics.connections_refused_total.add();
    log::log_limited("max_connections", log::Level::Warn, "connection refused: max_connections",
                     {{"listener", listener.config.name}});
    return;  // closes it
  }
  if (listener.config.proxy_protocol && !listener.trusts(peer)) {
    context_.metrics.connections_refused_total.add();
    log::log_limited("proxy_protocol", log::Level::Warn,
                     "connection refused: proxy_protocol takes trusted_proxies only",
                     {{"listener", listener.config.name}, {"peer", peer.to_string()}});
    return;
  }
  if (context_.overload != nullptr &&
      context_.overload->refuse_connections.load(std::memory_order_relaxed)) {
    context_.metrics.connections_refused_total.add();
    return;
  }
  auto* connection = new proxy::DownstreamConnection(context_, listener, std::move(fd), peer);
  connections_.push_back(*connection);
  connection->start();
}

void Worker::run() {
  loop_.run();
  tear_down();
}

void Worker::drain(std::function<void()> on_drained) {
  on_drained_ = std::move(on_drained);
  context_.draining = true;
  // One that ends may end others; all of them last until the turn does.
  std::vector<proxy::DownstreamConnection*> all;
  connections_.for_each(
      [&](proxy::DownstreamConnection& connection) { all.push_back(&connection); });
  for (proxy::DownstreamConnection* connection : all) connection->drain();
  // Clients that the kernel has let in already get one answer.
  for (const auto& listener : listeners_) listener->accept_rest();
  listeners_.clear();
  check_drained();
}

void Worker::check_drained() {
  if (connections_.empty() && context_.exchanges.empty()) return on_drained_();
  loop_.timers().arm(drain_check_, kDrainCheck);
}

void Worker::stop() {
  loop_.stop();
}

}  // namespace tidegate::server
