// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <functional>
#include <memory>

#include "base/intrusive_list.h"
#include "config/snapshot.h"
#include "http/codec.h"
#include "net/event_loop.h"
#include "net/tls_client_context.h"
#include "telemetry/metrics.h"
#include "upstream/connection.h"
#include "upstream/endpoint.h"
#include "upstream/wait_queue.h"

namespace tidegate::upstream {

class ClientPools;
class ProxiedClient;

/// Waits for a connection of a pool.
class PoolWaiter : public ListNode<PoolWaiter> {
 public:
  /// Open a stream on it now.
  virtual void on_connection(Connection& connection) = 0;
  virtual void on_connection_failed(ErrorCode code) = 0;

  uint8_t line = 0;  // of its client in the queue; set before it waits

 protected:
  ~PoolWaiter() = default;
};

/// The connections to one endpoint in one worker: those that can carry a further stream, the newest
/// first; new ones as needed, up to a cap; and those who wait for one, clients in turn. A
/// connection of HTTP/1 carries one stream, one of HTTP/2 as many as the origin allows; the pool
/// learns how many to expect, so as to open neither a connection per waiter nor too few.
class Pool {
 public:
  enum class Protocol : uint8_t {
    Auto,
    Http1,
    Http2,
    Tunnel,  // none: bytes of a CONNECT, as they are
  };
  static Protocol protocol_of(std::string_view name);  // "auto", "h1", "h2"

  struct Settings {
    Duration connect_timeout{};
    config::Pool pool;
    Protocol protocol = Protocol::Auto;
    std::shared_ptr<const net::TlsClientContext> tls;  // nullptr: plain
    std::string tls_name;                              // asked for, and what the certificate is for
    bool http1_only = false;                           // of a TLS context that offers HTTP/2 too
    int proxy_protocol = 0;  // version of the PROXY protocol header that goes first; 0: none
    http::Limits limits;     // of what the origin may send
    bool operator==(const Settings& other) const;
  };

  /// Of an HTTP/2 origin until it has said so; RFC 9113 6.5.2 asks for no fewer.
  static constexpr size_t kStreamsExpected = 100;

  struct Cells {
    telemetry::EndpointMetrics endpoint;
    telemetry::Gauge& connections_active;
  };

  /// `proxy_header`: with settings.proxy_protocol, what its connections begin with; empty: that the
  /// client is not known.
  Pool(net::EventLoop& loop, std::shared_ptr<Endpoint> endpoint, Settings settings, Cells cells,
       std::string proxy_header = {});
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Endpoint& endpoint() { return *endpoint_; }
  const std::shared_ptr<Endpoint>& shared_endpoint() { return endpoint_; }
  const Settings& settings() const { return settings_; }
  Timers& timers() { return loop_.timers(); }
  TimePoint now() { return loop_.now(); }
  const http::Limits& limits() const { return settings_.limits; }
  /// `proxy_header`: as for the constructor.
  void configure(Settings settings, std::string proxy_header = {});
  /// What to do when there is no descriptor for a connection; true: one may have got free.
  void when_exhausted(std::function<bool()> reclaim) { reclaim_ = std::move(reclaim); }
  /// Whether by that one may have got free.
  bool reclaim() const { return reclaim_ && reclaim_(); }
  /// Connections speak for one client each: take them from `for_client`.
  bool by_client() const { return settings_.proxy_protocol != 0; }
  Pool& for_client(ProxiedClient& client);
  const std::string& proxy_header() const { return proxy_header_; }
  /// Closes the connection that has been idle the longest. False: none is.
  bool close_idle();

  /// The pool of this endpoint's tunnels, made at first use: bare TCP, also to a TLS endpoint, and
  /// through its outbound proxy if it has one. Each carries one stream; the cap is the same, but
  /// counted apart.
  Pool& tunnels();

  /// The same for requests that ask for an upgrade, where ALPN may choose HTTP/2 but the origin's
  /// HTTP/2 does not take them (RFC 8441): connections that offer HTTP/1.1 only.
  Pool& upgrades();
  /// Upgrades go there, as was learnt.
  bool upgrades_apart() const { return upgrades_apart_; }
  /// HTTP/2 was agreed on, and takes none. False: nor does HTTP/1, or it was not to be had.
  bool learn_upgrades_apart();
  /// A connection of HTTP/1 may be had from `upgrades()` where this pool's speak HTTP/2.
  bool may_ask_by_http1() { return by_alpn() && now() >= no_upgrades_until_; }
  /// The origin does not agree on HTTP/1.1, so there is no use in asking again for a while.
  void note_no_upgrades();

  /// The origin, which agreed on HTTP/2 by ALPN, wants HTTP/1.1 (RFC 9113 7, HTTP_1_1_REQUIRED):
  /// for a while nothing else is offered, and connections of HTTP/2 carry no further stream. False:
  /// the configured protocol allows no other.
  bool learn_http1();
  /// That was learnt, not long ago.
  bool http1_learnt() { return now() < http1_until_; }
  /// The origin does not agree on HTTP/1.1 either, so what was learnt holds no longer.
  void forget_http1();

  /// A connection to open a stream on, now; nullptr: `wait`. `fresh`: a new one is wanted, if one
  /// may be made.
  Connection* take(bool fresh);
  /// Queues `waiter` and opens a connection where the cap allows. Another code than None: refused,
  /// and the waiter is not queued. The waiter is never called from inside.
  ErrorCode wait(PoolWaiter& waiter);
  void cancel(PoolWaiter& waiter);
  /// The endpoint has left its cluster: what runs ends as it would, and nothing is kept idle.
  void retire();

  // ---- for its connections ----
  net::TlsSession& tls_session() { return tls_session_; }
  /// Another number means that connections dialed before carry no further stream.
  uint32_t tls_epoch() const { return tls_epoch_; }
  bool may_reuse(uint64_t streams) const;
  bool keeps_idle() const { return settings_.pool.idle_timeout > Duration::zero(); }
  /// Its codec is chosen, and can open streams.
  void connection_ready(Connection& connection);
  void connect_failed(Connection& connection, ErrorCode code);
  void stream_opened(Connection& connection);
  /// The origin has said how many streams it takes on a connection.
  void expect_streams(size_t allowed) { streams_expected_ = std::max<size_t>(allowed, 1); }
  /// It may have room for a stream, or none any more.
  void streams_changed(Connection& connection);
  void connection_closed(Connection& connection);

 private:
  bool by_alpn() const { return settings_.protocol == Protocol::Auto && settings_.tls != nullptr; }
  Pool& apart(std::unique_ptr<Pool>& pool, Settings settings);
  void introduce_by(std::string proxy_header);
  void forget_tls();
  void forget_streams();
  bool may_grow() const;
  /// Of connections that are being made.
  size_t streams_coming() const { return connecting_ * streams_expected_; }
  /// Some connection has room for a further stream, or will have when one of its own has ended.
  bool any_takes_more();
  ErrorCode open_connection();
  ErrorCode why_not_connected(int error) const;
  void place(Connection& connection);
  void serve_waiters();
  void drop(Connection& connection);

  net::EventLoop& loop_;
  std::shared_ptr<Endpoint> endpoint_;
  Settings settings_;
  Cells cells_;
  std::function<bool()> reclaim_;
  std::string proxy_header_;
  std::unique_ptr<ClientPools> clients_;  // if by_client(), once one has come
  net::TlsSession tls_session_;
  uint32_t tls_epoch_ = 0;
  List<Connection> available_;  // can carry a further stream; newest at the back
  List<Connection> busy_;       // connecting, full, or only finishing
  WaitQueue<PoolWaiter> waiters_;
  size_t total_ = 0;
  size_t connecting_ = 0;
  size_t waiting_ = 0;
  size_t streams_expected_;  // of a connection that is being made
  bool reached_ = false;     // some connection was made
  bool upgrades_apart_ = false;
  TimePoint no_upgrades_until_{};
  TimePoint http1_until_{};
  std::unique_ptr<Pool> tunnels_;
  std::unique_ptr<Pool> upgrades_;
};

}  // namespace tidegate::upstream
