// SPDX-License-Identifier: Apache-2.0
// Policies on real exchanges, without sockets: a client that is a codec writing down what it is
// told, one route, and files in a folder of their own. Also used by bench/micro.
#pragma once
#include <stdlib.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/context.h"
#include "proxy/exchange.h"
#include "script/scripts.h"
#include "script/worker_scripts.h"
#include "telemetry/registry.h"
#include "upstream/pools.h"
#include "upstream/resolution.h"

namespace tidegate::script {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tidegate-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() { std::filesystem::remove_all(path_); }

  std::string write(const std::string& name, std::string_view text) const {
    const std::string path = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// What a client got.
struct Answer {
  unsigned status = 0;
  std::string body;
  std::map<std::string, std::string> headers;
  bool ended = false;
};

class RecordingClient final : public proxy::Downstream, private http::ServerCodec {
 public:
  Answer answer;

  http::ServerCodec& codec() override { return *this; }
  proxy::Peer peer(Arena&) const override { return peer_; }
  const config::Listener& listener() const override { return listener_; }
  upstream::ProxiedClient& proxied_client() override { return proxied_client_; }
  void schedule_flush() override {}
  uint64_t bytes_taken() const override { return 0; }
  bool write_blocked(http::StreamId) const override { return false; }
  void pause_request(http::StreamId) override {}
  void resume_request(http::StreamId) override {}
  void stream_ended(http::StreamId) override { answer.ended = true; }

 private:
  size_t receive(std::string_view bytes) override { return bytes.size(); }
  void expire_head() override {}
  void receive_eof() override {}
  void send_interim(http::StreamId, const http::ResponseHead&) override {}
  void send_head(http::StreamId, const http::ResponseHead& head, bool) override {
    answer.status = head.status;
    for (const http::HeaderField& field : head.headers) {
      std::string& value = answer.headers[std::string(field.name())];
      if (!value.empty()) value += ", ";
      value += field.value();
    }
  }
  void send_body(http::StreamId, std::string_view bytes) override { answer.body += bytes; }
  void send_end(http::StreamId, const http::Headers&) override {}
  void give_up_request(http::StreamId) override {}
  void reset(http::StreamId, ErrorCode) override {}
  void drain() override {}
  uint32_t open_streams() const override { return 0; }
  bool idle() const override { return true; }
  bool receiving_head() const override { return false; }
  bool done() const override { return false; }
  bool write_finished() const override { return false; }

  proxy::Peer peer_;
  config::Listener listener_;
  upstream::ProxiedClient proxied_client_{{}, {}};
};

class PolicyRig {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  PolicyRig() {
    config.routes.emplace_back();
    config.routes[0].name = "all";
    config.routes[0].respond = config::Respond{};
    config.routes[0].respond->body = "local";
  }
  PolicyRig(const PolicyRig&) = delete;
  PolicyRig& operator=(const PolicyRig&) = delete;
  ~PolicyRig() {
    while (!context->exchanges.empty()) context->exchanges.front().abandon();
    loop.post([this] { loop.stop(); });
    loop.run();
    if (table_ != nullptr) table_->unpin();
  }

  /// A policy whose script has this text; more of it can be set in `config` before `load`.
  config::Policy& policy(const std::string& name, std::string_view text) {
    config::Policy& policy = config.policies.emplace_back();
    policy.name = name;
    policy.script = folder.write(name + ".lua", text);
    policy.budget.cpu = std::chrono::seconds(1);  // for slow and instrumented machines
    policy.origin.file = folder.path() + "/tidegate.yaml";
    config.routes[0].policies.push_back(name);
    return policy;
  }
  /// Loads scripts and configuration; the errors.
  std::vector<std::string> load() {
    std::vector<std::string> errors = scripts.load(config);
    if (!errors.empty()) return errors;
    worker.adopt(*scripts.current());
    auto shared = std::make_shared<const proxy::SharedSnapshot>(
        config, upstream::resolve_endpoints(config, nullptr, nullptr, names));
    auto* next = new proxy::RouteTable(shared, worker, pools, shard);
    if (table_ != nullptr) table_->unpin();
    table_ = context->routes = next;
    worker.on_replaced = [this] { table_->refresh_chains(); };
    return errors;
  }
  /// Workers take over what the scripts have become.
  void adopt() {
    worker.adopt(*scripts.current());
    table_->refresh_chains();
  }
  /// The same in the course of turns.
  void begin_adopting(std::function<void()> done) {
    worker.adopt_in_turns(scripts.current(), [this, done = std::move(done)] {
      table_->refresh_chains();
      done();
    });
  }

  /// A request that has begun, of a client that outlives the rig or is the rig's; ended or not, it
  /// goes at the end of the test.
  proxy::Exchange& begin(RecordingClient& client, const std::string& target,
                         const Pairs& headers = {}) {
    auto* exchange = new proxy::Exchange(*context, client, 1);
    http::RequestHead& head = exchange->request();
    Arena& arena = exchange->arena();
    head.method = http::Method::Get;
    head.method_name = "GET";
    head.target = arena.copy(target);
    const size_t question = head.target.find('?');
    head.path = head.target.substr(0, question);
    head.has_query = question != std::string_view::npos;
    if (head.has_query) head.query = head.target.substr(question + 1);
    head.authority = "test.example";
    head.headers.add(http::HeaderId::Host, "test.example");
    for (const auto& [name, value] : headers) {
      head.headers.add(arena.copy(name), arena.copy(value));
    }
    return *exchange;
  }
  Answer get(const std::string& target = "/", const Pairs& headers = {}) {
    RecordingClient& asking = client();
    begin(asking, target, headers).on_request_head(true);
    run_slices();
    sweep();
    return asking.answer;
  }
  /// One more client; it lives as long as the rig.
  RecordingClient& client() { return clients_.emplace_back(); }
  /// Turns of the loop, until no run waits for a slice.
  void run_slices() {
    while (!worker.slices().idle()) {
      loop.post([] {});  // a turn with nothing left to do waits for events
      loop.turn();
    }
  }
  /// Two milliseconds pass for the timers.
  void sweep() {
    loop.clock().now();
    loop.clock().advance(std::chrono::milliseconds(2));
    loop.timers().sweep();
  }

  config::Snapshot config;
  TempFolder folder;
  Watchdog watchdog;
  Scripts scripts{watchdog, {}};
  telemetry::Registry registry;
  telemetry::Shard& shard = registry.add_shard();
  net::EventLoop loop;
  upstream::Names names{loop, [](const auto&) {}};
  std::unique_ptr<proxy::WorkerContext> context =
      std::make_unique<proxy::WorkerContext>(loop, shard);
  upstream::Pools pools{loop, context->metrics.backend_connections_active};
  WorkerScripts worker{watchdog, loop, shard, 0};

 private:
  proxy::RouteTable* table_ = nullptr;
  std::deque<RecordingClient> clients_;
};

}  // namespace tidegate::script
