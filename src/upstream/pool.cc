// SPDX-License-Identifier: Apache-2.0
#include "upstream/pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "net/proxy_protocol.h"
#include "telemetry/log.h"
#include "upstream/client_pools.h"

namespace tidegate::upstream {
namespace {

Pool::Settings tunnel_settings(Pool::Settings settings) {
  settings.protocol = Pool::Protocol::Tunnel;
  settings.tls = nullptr;
  settings.tls_name.clear();
  // One whose client has gone while it was made is of no use to the next: its time has begun.
  settings.pool.idle_timeout = Duration::zero();
  return settings;
}

Pool::Settings upgrade_settings(Pool::Settings settings) {
  settings.protocol = Pool::Protocol::Http1;
  settings.http1_only = true;
  return settings;
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// 0, or the errno that the last address met with: a transport leaves it as it was.
int try_to_connect(Connection& connection) {
  errno = 0;
  if (connection.connect()) return 0;
  return errno == 0 ? ECONNREFUSED : errno;
}

}  // namespace

bool Pool::Settings::operator==(const Settings& other) const {
  return connect_timeout == other.connect_timeout &&
         pool.max_connections == other.pool.max_connections &&
         pool.idle_timeout == other.pool.idle_timeout &&
         pool.max_pending == other.pool.max_pending &&
         pool.pending_timeout == other.pool.pending_timeout &&
         pool.max_requests == other.pool.max_requests &&
         pool.ping_interval == other.pool.ping_interval && protocol == other.protocol &&
         tls == other.tls && tls_name == other.tls_name && http1_only == other.http1_only &&
         proxy_protocol == other.proxy_protocol && limits == other.limits;
}

Pool::Pool(net::EventLoop& loop, std::shared_ptr<Endpoint> endpoint, Settings settings, Cells cells,
           std::string proxy_header)
    : loop_(loop), endpoint_(std::move(endpoint)), settings_(std::move(settings)), cells_(cells) {
  introduce_by(std::move(proxy_header));
  forget_streams();
}

Pool::Protocol Pool::protocol_of(std::string_view name) {
  if (name == "h2") return Protocol::Http2;
  return name == "h1" ? Protocol::Http1 : Protocol::Auto;
}

void Pool::forget_streams() {
  // Where ALPN will tell, one connection finds out; if it is HTTP/1, the others follow at once.
  const bool many = settings_.protocol == Protocol::Http2 || (by_alpn() && !http1_learnt());
  streams_expected_ = many ? kStreamsExpected : 1;
}

Pool& Pool::for_client(ProxiedClient& client) {
  if (clients_ == nullptr) clients_ = std::make_unique<ClientPools>(loop_, *this);
  return clients_->of(client, cells_);
}

void Pool::introduce_by(std::string proxy_header) {
  if (proxy_header.empty() && by_client()) {
    proxy_header = net::write_proxy_header(settings_.proxy_protocol, {}, {});
  }
  proxy_header_ = std::move(proxy_header);
}

void Pool::configure(Settings settings, std::string proxy_header) {
  if (clients_ != nullptr) clients_->configure(settings);
  const bool other = settings.protocol != settings_.protocol;
  const bool same_tls = settings.tls == settings_.tls && settings.tls_name == settings_.tls_name;
  settings_ = std::move(settings);
  introduce_by(std::move(proxy_header));
  if (other || !same_tls) {
    upgrades_apart_ = false;
    no_upgrades_until_ = http1_until_ = {};
    forget_streams();
  }
  if (!same_tls) forget_tls();
  if (tunnels_ != nullptr) tunnels_->configure(tunnel_settings(settings_), proxy_header_);
  if (upgrades_ != nullptr) upgrades_->configure(upgrade_settings(settings_), proxy_header_);
}

Pool& Pool::apart(std::unique_ptr<Pool>& pool, Settings settings) {
  if (pool == nullptr) {
    pool = std::make_unique<Pool>(loop_, endpoint_, std::move(settings), cells_, proxy_header_);
    pool->when_exhausted([this] { return reclaim(); });
  }
  return *pool;
}

Pool& Pool::tunnels() {
  return apart(tunnels_, tunnel_settings(settings_));
}

Pool& Pool::upgrades() {
  return apart(upgrades_, upgrade_settings(settings_));
}

bool Pool::learn_upgrades_apart() {
  if (!may_ask_by_http1()) return false;
  upgrades_apart_ = true;
  return true;
}

void Pool::note_no_upgrades() {
  constexpr Duration kHolds = std::chrono::seconds(60);
  upgrades_apart_ = false;
  no_upgrades_until_ = now() + kHolds;
}

bool Pool::learn_http1() {
  if (!by_alpn()) {
    log::log_limited(endpoint_->address, log::Level::Warn,
                     "an origin asks for HTTP/1.1, which the cluster's protocol does not allow",
                     {{"endpoint", endpoint_->address}});
    return false;
  }
  // An origin may be replaced, or told otherwise, so it is asked again from time to time.
  constexpr Duration kHolds = std::chrono::minutes(5);
  if (http1_learnt()) return true;
  http1_until_ = now() + kHolds;
  log::info("an origin asks for HTTP/1.1, and gets it for five minutes",
            {{"endpoint", endpoint_->address}});
  forget_streams();
  forget_tls();
  return true;
}

void Pool::forget_http1() {
  http1_until_ = {};
  forget_streams();
}

// What was verified by other rules is neither resumed nor used for a further request.
void Pool::forget_tls() {
  ++tls_epoch_;
  tls_session_.replace(nullptr, nullptr, {});
  while (!available_.empty()) available_.front().leave_outdated();
}

Pool::~Pool() {
  while (!available_.empty()) available_.front().close();
  while (!busy_.empty()) busy_.front().close();
}

bool Pool::may_grow() const {
  const uint32_t cap = settings_.pool.max_connections;
  return cap == 0 || total_ < cap;
}

void Pool::retire() {
  settings_.pool.idle_timeout = Duration::zero();
  available_.for_each([](Connection& connection) { connection.close_if_idle(); });
  if (tunnels_ != nullptr) tunnels_->retire();
  if (upgrades_ != nullptr) upgrades_->retire();
  if (clients_ != nullptr) clients_->retire();
}

Connection* Pool::take(bool fresh) {
  if (fresh && may_grow()) return nullptr;
  while (!available_.empty()) {
    Connection& connection = available_.back();
    if (connection.can_open()) return &connection;
    // It has just learnt otherwise, and will say so.
    place(connection);
  }
  return nullptr;
}

ErrorCode Pool::wait(PoolWaiter& waiter) {
  // There is a stream for each waiter; one that gets free meanwhile serves the oldest.
  if (streams_coming() <= waiting_ && may_grow()) {
    const ErrorCode failed = open_connection();
    if (failed != ErrorCode::None && connecting_ == 0 && !any_takes_more()) return failed;
  }
  // Who gets a stream of a connection that is being made does not wait for others to end.
  const size_t coming = streams_coming();
  if (waiting_ >= coming && waiting_ - coming >= settings_.pool.max_pending) {
    return ErrorCode::PoolOverflow;
  }
  waiters_.push_back(waiter);
  ++waiting_;
  return ErrorCode::None;
}

/// What this machine lacks is not the origin's fault. `error`: errno of the last address tried.
ErrorCode Pool::why_not_connected(int error) const {
  if (is_shortage(error)) return ErrorCode::ProxyExhausted;
  // No local port is left, where there were some before; otherwise the address is of a kind that
  // this machine does not speak.
  if (error == EADDRNOTAVAIL && reached_) return ErrorCode::ProxyExhausted;
  return endpoint_->proxy ? ErrorCode::OutboundProxyUnreachable : ErrorCode::ConnectFailed;
}

ErrorCode Pool::open_connection() {
  auto connection = std::make_unique<Connection>(*this, loop_);
  int error = try_to_connect(*connection);
  if (is_shortage(error) && reclaim()) {
    // Idle connections give way to those that have work.
    connection = std::make_unique<Connection>(*this, loop_);
    error = try_to_connect(*connection);
  }
  if (error != 0) {
    const ErrorCode code = why_not_connected(error);
    cells_.endpoint.connection_error(code);
    return code;
  }
  busy_.push_back(*connection.release());
  ++total_;
  ++connecting_;
  cells_.connections_active.add();
  return ErrorCode::None;
}

bool Pool::close_idle() {
  if (clients_ != nullptr && clients_->close_idle()) return true;
  if (upgrades_ != nullptr && upgrades_->close_idle()) return true;
  if (available_.empty() || !available_.front().idle()) return false;
  available_.front().close();
  return true;
}

void Pool::cancel(PoolWaiter& waiter) {
  if (!waiter.linked()) return;
  waiter.unlink();
  --waiting_;
}

bool Pool::may_reuse(uint64_t streams) const {
  return settings_.pool.max_requests == 0 || streams < settings_.pool.max_requests;
}

void Pool::place(Connection& connection) {
  connection.ListNode<Connection>::unlink();
  (connection.can_open() ? available_ : busy_).push_back(connection);
}

void Pool::stream_opened(Connection& connection) {
  place(connection);
}

void Pool::connection_ready(Connection& connection) {
  --connecting_;
  reached_ = true;
  cells_.endpoint.connected();
  streams_changed(connection);
}

void Pool::streams_changed(Connection& connection) {
  while (waiting_ > 0 && connection.can_open()) {
    --waiting_;
    waiters_.pop_front().on_connection(connection);
  }
  if (connection.ListNode<Connection>::linked()) place(connection);
  serve_waiters();
}

void Pool::connect_failed(Connection& connection, ErrorCode code) {
  cells_.endpoint.connection_error(code);
  --connecting_;
  drop(connection);
  // Others that carry many streams each will soon have room; not those that only finish.
  if (streams_expected_ > 1 && any_takes_more()) return;
  // Those it was to carry; who fails may come back and wait again.
  for (size_t failing = std::min(waiting_, streams_expected_); failing > 0; --failing) {
    if (waiting_ == 0) return;
    --waiting_;
    waiters_.pop_front().on_connection_failed(code);
  }
  serve_waiters();
}

bool Pool::any_takes_more() {
  bool any = !available_.empty();
  busy_.for_each([&any](Connection& connection) { any = any || connection.takes_more(); });
  return any;
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
  while (streams_coming() < waiting_ && may_grow()) {
    const ErrorCode failed = open_connection();
    if (failed == ErrorCode::None) continue;
    if (connecting_ > 0 || any_takes_more()) return;  // a connection at work will serve them
    --waiting_;
    waiters_.pop_front().on_connection_failed(failed);
  }
}

}  // namespace tidegate::upstream
