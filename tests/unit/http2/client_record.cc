// SPDX-License-Identifier: Apache-2.0
#include "unit/http2/client_record.h"

#include <algorithm>
#include <utility>

namespace tidegate::http::http2 {

ClientRecord::ClientRecord(const Settings& settings, Limits given)
    : limits_(given), output(blocks_), codec(output, limits_, "http", settings) {}

void ClientRecord::begin(std::string_view settings_frame) {
  flush();
  feed(settings_frame.empty() ? settings() : settings_frame);
  feed(frame(kSettings, kAck, 0));
  frames();
}

ClientRecord::Call& ClientRecord::open() {
  calls_.push_back(std::make_unique<Call>(*this));
  Call& call = *calls_.back();
  call.id = codec.open(call);
  return call;
}

ClientRecord::Call& ClientRecord::get(std::string_view method, std::string_view upgrade) {
  Call& call = open();
  call.request.method = method_of(method);
  call.request.method_name = method;
  call.request.upgrade = upgrade;
  call.send_head(true);
  flush();
  return call;
}

void ClientRecord::feed(std::string_view bytes) {
  // Exactly as long as the bytes, so that a read past them is seen by AddressSanitizer.
  const auto read = std::make_unique<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), read.get());
  codec.receive({read.get(), bytes.size()});
  if (flushes) flush();
}

void ClientRecord::feed_bytes(std::string_view bytes) {
  for (const char c : bytes) feed({&c, 1});
}

void ClientRecord::flush(bool blocked) {
  codec.produce(blocked);
  if (blocked) return;
  for (Frame& frame : reader_.read(http1::take_output(output))) {
    frames_.push_back(std::move(frame));
  }
}

std::string ClientRecord::events() const {
  std::string text;
  for (size_t i = 0; i < calls_.size(); ++i) {
    text += std::to_string(i) + ": " + calls_[i]->events();
  }
  return text;
}

ClientRecord::Call::Call(ClientRecord& owner)
    : owner_(owner), arena_(owner.arenas_), request(arena_) {
  request.method = Method::Get;
  request.method_name = "GET";
  request.path = "/";
  request.headers.add(HeaderId::Host, "origin");
}

void ClientRecord::Call::send_end(const FieldTexts& trailers) {
  Headers fields(arena_);
  for (const auto& [name, value] : trailers) fields.add(arena_.copy(name), arena_.copy(value));
  owner_.codec.send_end(id, fields);
}

ResponseHead& ClientRecord::Call::begin_response() {
  response = arena_.make<ResponseHead>(arena_);
  return *response;
}

void ClientRecord::Call::on_response_interim() {
  record.event("interim " + http1::describe_head(*response));
}

void ClientRecord::Call::on_response_head(bool end) {
  record.event(http1::describe_head(*response) + (end ? " end" : ""));
  over = complete = end;
  if (owner_.when_head) owner_.when_head(*this);
  if (end && owner_.when_over) owner_.when_over(*this);
}

void ClientRecord::Call::on_response_body(std::string_view bytes) {
  body.append(bytes);
  record.body(bytes);
  if (owner_.when_body) owner_.when_body(*this);
}

void ClientRecord::Call::on_response_end() {
  record.end(response->trailers);
  over = complete = true;
  if (owner_.when_over) owner_.when_over(*this);
}

void ClientRecord::Call::on_response_error(ErrorCode code) {
  record.event("error " + std::string(tidegate::describe(code).token));
  over = true;
  if (owner_.when_over) owner_.when_over(*this);
}

}  // namespace tidegate::http::http2
