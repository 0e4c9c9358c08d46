// SPDX-License-Identifier: Apache-2.0
#include "upstream/probe.h"

#include <utility>

#include "upstream/absolute_form.h"

namespace tidegate::upstream {
namespace {

constexpr Duration kSoon = std::chrono::milliseconds(1);
constexpr size_t kBodyLimit = 64 * 1024;
constexpr std::string_view kGrpcPath = "/grpc.health.v1.Health/Check";
constexpr size_t kGrpcPrefix = 5;                        // of a message: compressed flag, length
constexpr std::string_view kGrpcServing("\x08\x01", 2);  // field 1: SERVING

}  // namespace

Probe::Probe(net::EventLoop& loop, std::unique_ptr<Pool> pool, const config::HealthCheck& settings,
             ArenaBlocks& blocks, Owner& owner)
    : loop_(loop),
      pool_(std::move(pool)),
      settings_(settings),
      blocks_(blocks),
      owner_(owner),
      timer_([](void* self) { static_cast<Probe*>(self)->on_timeout(); }, this) {}

Probe::~Probe() {
  leave();
}

void Probe::start() {
  arena_.emplace(blocks_);
  head_ = nullptr;
  body_.clear();
  state_ = State::Waiting;
  refused_ = pool_->wait(*this);
  loop_.timers().arm(timer_, refused_ == ErrorCode::None ? settings_.timeout : kSoon);
}

void Probe::on_connection(Connection& connection) {
  if (settings_.type == config::HealthCheckType::Tcp) return finish({});
  connection_ = &connection;
  stream_ = connection.open(*this);
  state_ = State::Open;
  send_request();
}

void Probe::on_connection_failed(ErrorCode code) {
  if (code == ErrorCode::StreamRefused) return again();  // by HTTP/1.1, as the pool has learnt
  fail(code);
}

void Probe::send_request() {
  const bool grpc = settings_.type == config::HealthCheckType::Grpc;
  http::RequestHead request(*arena_);
  const Endpoint& endpoint = pool_->endpoint();
  request.method = grpc ? http::Method::Post : http::Method::Get;
  request.method_name = grpc ? "POST" : "GET";
  request.scheme = endpoint.config.scheme;
  request.authority = settings_.host.empty() ? endpoint.authority : settings_.host;
  request.path = grpc ? kGrpcPath : std::string_view(settings_.path);
  const size_t question = request.path.find('?');
  if (question != std::string_view::npos) {
    request.query = request.path.substr(question + 1);
    request.has_query = true;
    request.path = request.path.substr(0, question);
  }
  request.headers.add(http::HeaderId::Host, request.authority);
  if (endpoint.by_absolute_form()) address_to_proxy(request, endpoint, *arena_);
  request.headers.add(http::HeaderId::UserAgent, "tidegate-health-check");
  if (grpc) {
    request.body = http::BodyKind::Streamed;
    request.headers.add(http::HeaderId::ContentType, "application/grpc");
    request.headers.add(http::HeaderId::Te, "trailers");
  }
  connection_->codec().send_head(stream_, request, !grpc);
  if (grpc) send_grpc_message();
  connection_->schedule_flush();
}

// HealthCheckRequest: field 1, the service's name.
void Probe::send_grpc_message() {
  std::string message;
  if (!settings_.service.empty()) {
    message = {'\x0a', static_cast<char>(settings_.service.size())};
    message += settings_.service;
  }
  std::string framed(kGrpcPrefix, '\0');
  framed.back() = static_cast<char>(message.size());
  framed += message;
  connection_->codec().send_body(stream_, arena_->copy(framed));
  connection_->codec().send_end(stream_, http::Headers(*arena_));
}

http::ResponseHead& Probe::begin_response() {
  head_ = arena_->make<http::ResponseHead>(*arena_);
  return *head_;
}

void Probe::on_response_head(bool end) {
  if (end) return on_response_end();
  if (settings_.type == config::HealthCheckType::Grpc) return;
  if (settings_.body.empty() || !settings_.status.contains(head_->status)) judge();
}

void Probe::on_response_body(std::string_view bytes) {
  body_.append(bytes.substr(0, kBodyLimit - body_.size()));
  const bool found = settings_.type == config::HealthCheckType::Http &&
                     body_.find(settings_.body) != std::string::npos;
  if (found || body_.size() == kBodyLimit) judge();
}

void Probe::on_response_end() {
  state_ = State::Idle;
  judge();
}

void Probe::on_response_error(ErrorCode code) {
  state_ = State::Idle;
  const bool other_protocol = code == ErrorCode::StreamRefused && connection_->asks_for_http1();
  if (!other_protocol || !pool_->learn_http1()) return finish(describe(code).token);
  again();
}

// What the origin refused is no fault of the endpoint: the same check, in the time that is left.
void Probe::again() {
  state_ = State::Waiting;
  refused_ = pool_->wait(*this);
  if (refused_ != ErrorCode::None) loop_.timers().arm(timer_, kSoon);
}

void Probe::judge() {
  if (settings_.type == config::HealthCheckType::Grpc) return finish(grpc_fault());
  if (!settings_.status.contains(head_->status)) {
    return finish(arena_->join("status ", arena_->copy(std::to_string(head_->status))));
  }
  if (body_.find(settings_.body) == std::string::npos) return finish("body without the text");
  finish({});
}

std::string_view Probe::grpc_fault() {
  const http::HeaderField* status = head_->trailers.find("grpc-status");
  if (status == nullptr) status = head_->headers.find("grpc-status");
  if (head_->status != 200 || status == nullptr) return "no gRPC response";
  if (status->value() != "0") return arena_->join("grpc-status ", status->value());
  const std::string_view message(body_);
  const bool serving =
      message.size() > kGrpcPrefix && message.substr(kGrpcPrefix).starts_with(kGrpcServing);
  return serving ? std::string_view() : "not serving";
}

void Probe::on_timeout() {
  refused_ == ErrorCode::None ? finish("timeout") : fail(refused_);
}

void Probe::fail(ErrorCode code) {
  if (describe(code).side != Side::Proxy) return finish(describe(code).token);
  timer_.disarm();
  leave();
  owner_.on_not_probed();
}

void Probe::finish(std::string_view fault) {
  timer_.disarm();
  leave();
  owner_.on_probed(fault);
}

void Probe::leave() {
  if (state_ == State::Waiting) pool_->cancel(*this);
  if (state_ == State::Open) {
    state_ = State::Idle;
    connection_->codec().cancel(stream_);
    connection_->stream_done();
  }
  state_ = State::Idle;
}

}  // namespace tidegate::upstream
