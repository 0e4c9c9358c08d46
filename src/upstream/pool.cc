// SPDX-License-Identifier: Apache-2.0
#include "upstream/pool.h"

namespace tidegate::upstream {

bool Pool::Settings::operator==(const Settings& other) const {
  return connect_timeout == other.connect_timeout &&
         pool.max_connections == other.pool.max_connections &&
         pool.idle_timeout == other.pool.idle_timeout &&
         pool.max_pending == other.pool.max_pending &&
         pool.max_requests == other.pool.max_requests;
}

Pool::Pool(net::EventLoop& loop, std::shared_ptr<Endpoint> endpoint, Settings settings, Cells cells)
    : loop_(loop), endpoint_(std::move(endpoint)), settings_(settings), cells_(cells) {}

Pool::~Pool() {
  while (!idle_.empty()) idle_.front().close();
  while (!busy_.empty()) busy_.front().close();
}

Connection* Pool::take() {
  if (idle_.empty()) return nullptr;
  Connection& connection = idle_.back();
  connection.ListNode<Connection>::unlink();
  busy_.push_back(connection);
  return &connection;
}

ErrorCode Pool::wait(PoolWaiter& waiter) {
  if (waiting_ >= settings_.pool.max_pending) return ErrorCode::PoolOverflow;
  const uint32_t cap = settings_.pool.max_connections;
  // Each waiter gets a connection of its own; one that falls idle meanwhile serves the oldest.
  if (connecting_ <= waiting_ && (cap == 0 || total_ < cap) && !open_connection() && total_ == 0) {
    return ErrorCode::ConnectFailed;
  }
  waiters_.push_back(waiter);
  ++waiting_;
  return ErrorCode::None;
}

bool Pool::open_connection() {
  auto connection = std::make_unique<Connection>(*this, loop_);
  if (!connection->connect()) {
    cells_.endpoint.connection_error(ErrorCode::ConnectFailed);
    return false;
  }
  busy_.push_back(*connection.release());
  ++total_;
  ++connecting_;
  cells_.connections_active.add();
  return true;
}

void Pool::cancel(PoolWaiter& waiter) {
  if (!waiter.linked()) return;
  waiter.unlink();
  --waiting_;
}

bool Pool::may_reuse(uint64_t streams) const {
  return settings_.pool.idle_timeout > Duration::zero() &&
         (settings_.pool.max_requests == 0 || streams < settings_.pool.max_requests);
}

void Pool::connection_idle(Connection& connection) {
  if (connection.fresh()) {
    --connecting_;
    cells_.endpoint.connected();
  }
  if (waiting_ > 0) {
    --waiting_;
    return waiters_.pop_front().on_connection(connection);
  }
  connection.ListNode<Connection>::unlink();
  idle_.push_back(connection);
  connection.arm_idle(settings_.pool.idle_timeout);
}

void Pool::connect_failed(Connection& connection, ErrorCode code) {
  cells_.endpoint.connection_error(code);
  --connecting_;
  drop(connection);
  if (waiting_ == 0) return;
  --waiting_;
  waiters_.pop_front().on_connection_failed(code);
  serve_waiters();
}

void Pool::connection_closed(Connection& connection) {
  drop(connection);
  serve_waiters();
}

void Pool::drop(Connection& connection) {
  connection.ListNode<Connection>::unlink();
  --total_;
  cells_.connections_active.subtract();
  loop_.destroy_later(std::unique_ptr<net::Deferred>(&connection));
}

void Pool::serve_waiters() {
  const uint32_t cap = settings_.pool.max_connections;
  while (connecting_ < waiting_ && (cap == 0 || total_ < cap)) {
    if (open_connection()) continue;
    if (total_ > 0) return;  // a connection at work will serve them
    --waiting_;
    waiters_.pop_front().on_connection_failed(ErrorCode::ConnectFailed);
  }
}

}  // namespace tidegate::upstream
