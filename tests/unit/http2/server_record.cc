// SPDX-License-Identifier: Apache-2.0
#include "unit/http2/server_record.h"

#include <algorithm>
#include <utility>

namespace tidegate::http::http2 {
namespace {

void add_fields(Headers& to, const FieldTexts& fields) {
  for (const auto& [name, value] : fields) to.add(to.arena().copy(name), to.arena().copy(value));
}

}  // namespace

ServerRecord::ServerRecord(const Settings& settings, Limits given)
    : limits_(given), output(blocks_), codec(output, *this, limits_, settings) {}

ServerCodecOwner::Begun ServerRecord::begin_request(StreamId stream) {
  auto& call = calls_[stream];
  call = std::make_unique<Call>(*this, stream);
  return {&call->head, call.get(), stream == last_stream};
}

ServerRecord::Call& ServerRecord::call(StreamId stream) {
  return *calls_.at(stream);
}

void ServerRecord::feed(std::string_view bytes) {
  // Exactly as long as the bytes, so that a read past them is seen by AddressSanitizer.
  const auto read = std::make_unique<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), read.get());
  codec.receive({read.get(), bytes.size()});
  if (flushes) flush();
}

void ServerRecord::feed_bytes(std::string_view bytes) {
  for (const char c : bytes) feed({&c, 1});
}

void ServerRecord::begin() {
  flush();
  feed(client_preface());
  sent();
}

void ServerRecord::flush(bool blocked) {
  codec.produce(blocked);
  if (blocked) return;
  for (Frame& frame : reader_.read(http1::take_output(output))) {
    frames_.push_back(std::move(frame));
  }
}

void ServerRecord::forget() {
  if (frames_.size() > 1) frames_.erase(frames_.begin(), frames_.end() - 1);
  std::erase_if(calls_, [](const auto& entry) { return entry.second->over; });
}

std::vector<Frame> ServerRecord::frames() {
  return std::exchange(frames_, {});
}

std::string ServerRecord::sent() {
  return describe(frames());
}

std::string ServerRecord::events() const {
  std::string text;
  for (const auto& [id, call] : calls_) text += std::to_string(id) + ": " + call->events();
  return text;
}

ServerRecord::Call::Call(ServerRecord& owner, StreamId given)
    : owner_(owner), arena_(owner.arenas_), id(given), head(arena_) {}

void ServerRecord::Call::on_request_head(bool end) {
  record.event(http1::describe_head(head) + (end ? " end" : ""));
  if (owner_.when_head) owner_.when_head(*this);
  if (end && owner_.when_end) owner_.when_end(*this);
}

void ServerRecord::Call::on_request_body(std::string_view bytes) {
  body_bytes += bytes.size();
  record.body(bytes);
  if (owner_.when_body) owner_.when_body(*this, bytes);
}

void ServerRecord::Call::on_request_end() {
  record.end(head.trailers);
  if (owner_.when_end) owner_.when_end(*this);
}

void ServerRecord::Call::on_request_error(ErrorCode code) {
  over = true;
  record.event("error " + std::string(tidegate::describe(code).token));
  if (owner_.when_error) owner_.when_error(*this, code);
}

void ServerRecord::Call::on_response_writable() {
  ++writable;
  if (owner_.when_writable) owner_.when_writable(*this);
}

void ServerRecord::Call::answer(uint16_t status, std::string_view body, const FieldTexts& fields) {
  send_head(status, BodyKind::Sized, body.size(), body.empty(), fields);
  if (body.empty()) return;
  send_body(body);
  send_end();
}

void ServerRecord::Call::send_head(uint16_t status, BodyKind body, uint64_t length, bool end,
                                   const FieldTexts& fields) {
  ResponseHead response(arena_);
  response.status = status;
  response.body = body;
  response.content_length = length;
  add_fields(response.headers, fields);
  over |= end;
  owner_.codec.send_head(id, response, end);
}

void ServerRecord::Call::send_end(const FieldTexts& trailers) {
  Headers fields(arena_);
  add_fields(fields, trailers);
  over = true;
  owner_.codec.send_end(id, fields);
}

void ServerRecord::Call::interim(uint16_t status, const FieldTexts& fields) {
  ResponseHead response(arena_);
  response.status = status;
  add_fields(response.headers, fields);
  owner_.codec.send_interim(id, response);
}

void answer_all(ServerRecord& server) {
  server.when_end = [](ServerRecord::Call& call) { call.answer(200); };
  server.when_error = [](ServerRecord::Call& call, ErrorCode code) {
    call.answer(tidegate::describe(code).status);
  };
}

}  // namespace tidegate::http::http2
