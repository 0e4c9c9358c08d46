// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/arena.h"
#include "base/timers.h"
#include "config/health_check.h"
#include "http/codec.h"
#include "upstream/connection.h"
#include "upstream/pool.h"

namespace tidegate::upstream {

/// Checks one endpoint, once per `start`: a connection made by the same means as those that carry
/// traffic, a request on it, a verdict. Lives in one loop's thread.
class Probe final : private PoolWaiter, private http::ResponseReceiver {
 public:
  class Owner {
   public:
    /// `fault`: why it failed; empty: it passed. May begin the next one, but not destroy the probe.
    virtual void on_probed(std::string_view fault) = 0;
    /// It could not be made, for a reason of the proxy's own: nothing is known.
    virtual void on_not_probed() = 0;

   protected:
    ~Owner() = default;
  };

  /// All but the pool is borrowed and must outlive the probe.
  Probe(net::EventLoop& loop, std::unique_ptr<Pool> pool, const config::HealthCheck& settings,
        ArenaBlocks& blocks, Owner& owner);
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  ~Probe();

  /// REQUIRES: not running. The owner hears of it later, never from inside.
  void start();
  Pool& pool() { return *pool_; }
  bool running() const { return state_ != State::Idle; }

 private:
  enum class State : uint8_t { Idle, Waiting, Open };

  void on_connection(Connection& connection) override;
  void on_connection_failed(ErrorCode code) override;
  http::ResponseHead& begin_response() override;
  void on_response_interim() override {}
  void on_response_head(bool end) override;
  void on_response_body(std::string_view bytes) override;
  void on_response_end() override;
  void on_response_error(ErrorCode code) override;
  void again();
  void send_request();
  void send_grpc_message();
  void judge();
  std::string_view grpc_fault();
  void on_timeout();
  void fail(ErrorCode code);
  void finish(std::string_view fault);
  void leave();

  net::EventLoop& loop_;
  std::unique_ptr<Pool> pool_;
  const config::HealthCheck& settings_;
  ArenaBlocks& blocks_;
  Owner& owner_;
  std::optional<Arena> arena_;  // of the check under way
  http::ResponseHead* head_ = nullptr;
  std::string body_;
  Connection* connection_ = nullptr;
  http::StreamId stream_ = 0;
  State state_ = State::Idle;
  Timer timer_;
  ErrorCode refused_ = ErrorCode::None;  // by the pool, which the timer tells
};

}  // namespace tidegate::upstream
