// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/codec.h"
#include "proxy/route_table.h"
#include "upstream/client_pools.h"
#include "upstream/connection.h"
#include "upstream/pool.h"

namespace tidegate::proxy {

class Attempt;

/// Hears of its attempts; implemented by the exchange.
class AttemptOwner {
 public:
  /// A connection is there: send the request.
  virtual void on_attempt_ready(Attempt& attempt) = 0;
  virtual http::ResponseHead& begin_response() = 0;
  /// What has come stands in `attempt.head()`.
  virtual void on_attempt_interim(Attempt& attempt) = 0;
  virtual void on_attempt_head(Attempt& attempt, bool end) = 0;
  virtual void on_attempt_body(std::string_view bytes) = 0;
  virtual void on_attempt_end() = 0;
  /// The attempt is over without a complete response.
  virtual void on_attempt_error(Attempt& attempt, ErrorCode code) = 0;
  /// The origin takes request bytes again.
  virtual void on_attempt_drained() = 0;
  /// Whom it is for, where the origin wants to be told.
  virtual upstream::ProxiedClient& proxied_client() = 0;

 protected:
  ~AttemptOwner() = default;
};

/// One try of an exchange at one endpoint: gets a connection, carries one stream on it, and gives
/// it back. Embedded in the exchange and begun anew for the next attempt; a hedge is a second one.
class Attempt final : private http::ResponseReceiver,
                      private upstream::PoolWaiter,
                      private upstream::DrainWaiter {
 public:
  explicit Attempt(AttemptOwner& owner)
      : owner_(owner),
        pending_timer_([](void* self) { static_cast<Attempt*>(self)->on_pending_timeout(); },
                       this) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  ~Attempt() { cancel(); }

  /// What kind of connection is wanted.
  struct Wish {
    bool fresh;           // one that has carried nothing before
    bool tunnel;          // one that speaks no HTTP
    bool upgrade;         // one on which the request's Upgrade can be asked for
    bool with_body;       // the request has one
    uint8_t client_line;  // of the client, in the queue for a connection
  };
  /// REQUIRES: not active. The owner hears on_attempt_ready or on_attempt_error, perhaps from
  /// inside this call.
  void begin(upstream::Cluster& cluster, const upstream::Cluster::Admission& admission,
             const Wish& wish);
  /// The endpoint's breaker and balancer hear how it went. Only the first one counts; an attempt
  /// that is cancelled without counts as none.
  void settle(const upstream::Outcome& outcome, TimePoint now);
  void forgo_settling();
  /// The result is no longer wanted; the owner hears nothing more.
  void cancel();
  /// The same because no answer came in time, which casts doubt on a shared connection.
  void time_out();

  void send_head(const http::RequestHead& head, bool end);
  void send_body(std::string_view bytes);
  /// After a head that opens a tunnel: the stream lasts until both directions have ended.
  void become_tunnel() {
    tunnel_ = true;
    request_ended_ = false;  // its body had, if there was one
  }
  /// For bytes that may be gone before the output is flushed.
  void send_held_body(std::string_view bytes);
  void send_end(const http::Headers& trailers);

  /// Bytes that the origin has acknowledged. REQUIRES: open(). A system call.
  uint64_t bytes_taken() const { return connection_->bytes_taken(); }

  /// Its connection is the client's, and goes with it.
  bool ends_with_client() const { return for_client_; }
  /// From `begin` to the end of the stream.
  bool active() const { return state_ != State::Idle; }
  /// A connection is there and the stream open.
  bool open() const { return state_ == State::Open; }
  /// The origin does not take request bytes at present.
  bool blocked() const { return drain_wait_; }
  /// The connection had carried exchanges before.
  bool on_reused_connection() const { return reused_; }
  /// The connection is HTTP/2. REQUIRES: open().
  bool multiplexed() const { return connection_->multiplexed(); }
  /// Only its stream failed: the connection serves others, and will again.
  bool connection_lives() const { return connection_lives_; }
  /// It failed since the origin wants HTTP/1.1, which the next attempt there will speak.
  bool learnt_http1() const { return learnt_http1_; }
  /// Something of a response has arrived.
  bool response_begun() const { return response_begun_; }
  /// Some of the request may have left the machine.
  bool request_sent() const;
  void pause();
  void resume();

  /// The head that arrives, or arrived last. REQUIRES: response_begun().
  http::ResponseHead& head() const { return *head_; }
  TimePoint started() const { return started_; }

  /// Of the current attempt, or the last one.
  const upstream::Endpoint* endpoint() const { return endpoint_; }

 private:
  enum class State : uint8_t { Idle, Waiting, Open };

  void wait_for_connection(bool fresh);
  void ask_by_http1();
  void on_connection(upstream::Connection& connection) override;
  void on_connection_failed(ErrorCode code) override;
  void on_upstream_drained() override;
  http::ResponseHead& begin_response() override;
  void on_response_interim() override { owner_.on_attempt_interim(*this); }
  void on_response_head(bool end) override;
  void on_response_body(std::string_view bytes) override { owner_.on_attempt_body(bytes); }
  void on_response_end() override;
  void on_response_error(ErrorCode code) override;
  void on_request_writable() override;
  void on_pending_timeout();
  bool learn_http1();
  void leave();

  AttemptOwner& owner_;
  upstream::Cluster* cluster_ = nullptr;
  upstream::Endpoint* endpoint_ = nullptr;
  upstream::Pool* pool_ = nullptr;
  upstream::Pool* shared_pool_ = nullptr;  // while an upgrade is asked for apart from it
  upstream::Connection* connection_ = nullptr;
  http::ResponseHead* head_ = nullptr;
  TimePoint started_{};
  http::StreamId stream_ = 0;
  Timer pending_timer_;
  uint64_t written_before_ = 0;  // the connection's bytes before the stream's first
  upstream::Breaker::Ticket ticket_{};
  bool unsettled_ = false;
  State state_ = State::Idle;
  bool for_client_ = false;
  bool reused_ = false;
  bool response_begun_ = false;
  bool sent_on_closed_ = false;  // request_sent() of a stream that has ended
  bool drain_wait_ = false;
  bool upgrade_ = false;
  bool learnt_http1_ = false;
  bool connection_lives_ = false;
  bool with_body_ = false;
  bool tunnel_ = false;
  bool request_ended_ = false;  // of a tunnel
  bool response_ended_ = false;
};

}  // namespace tidegate::proxy
