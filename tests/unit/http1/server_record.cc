// SPDX-License-Identifier: Apache-2.0
#include "unit/http1/server_record.h"

#include <algorithm>

namespace tidegate::http::http1 {
namespace {

void add_fields(Headers& to, Fields fields) {
  for (const auto& [name, value] : fields) to.add(to.arena().copy(name), to.arena().copy(value));
}

}  // namespace

ServerRecord::ServerRecord(Limits given)
    : limits_(given), output(blocks_), codec(output, *this, limits_) {}

ServerCodecOwner::Begun ServerRecord::begin_request(StreamId stream) {
  streams_.push_back(std::make_unique<Stream>(*this, stream));
  record_.event("request " + std::to_string(stream));
  return {&streams_.back()->head, streams_.back().get(), stream == last_stream};
}

void ServerRecord::feed(std::string_view bytes) {
  kept_.append(bytes);
  feed_kept();
}

void ServerRecord::feed_kept() {
  // Exactly as long as the bytes, so that a read past them is seen by AddressSanitizer.
  const size_t size = kept_.size();
  const auto read = std::make_unique<char[]>(size);
  std::copy(kept_.begin(), kept_.end(), read.get());
  kept_.erase(0, codec.receive({read.get(), size}));
  output.settle();  // it may have borrowed from the read
}

void ServerRecord::feed_bytes(std::string_view bytes) {
  for (const char c : bytes) feed({&c, 1});
}

ServerRecord::Stream::Stream(ServerRecord& owner, StreamId given)
    : owner_(owner), arena_(owner.arenas_), id(given), head(arena_) {}

void ServerRecord::Stream::on_request_head(bool end) {
  owner_.record_.event(describe_head(head) + (end ? " end" : ""));
  if (owner_.when_head) owner_.when_head(*this);
  if (end && owner_.when_end) owner_.when_end(*this);
}

void ServerRecord::Stream::on_request_body(std::string_view bytes) {
  owner_.record_.body(bytes);
  if (owner_.when_body) owner_.when_body(*this, bytes);
}

void ServerRecord::Stream::on_request_end() {
  owner_.record_.end(head.trailers);
  if (owner_.when_end) owner_.when_end(*this);
}

void ServerRecord::Stream::on_request_error(ErrorCode code) {
  owner_.record_.event("error " + std::string(describe(code).token));
  if (owner_.when_error) owner_.when_error(*this, code);
}

void ServerRecord::Stream::answer(uint16_t status, std::string_view body, Fields fields) {
  send_head(status, BodyKind::Sized, body.size(), body.empty(), fields);
  if (body.empty()) return;
  send_body(body);
  send_end();
}

void ServerRecord::Stream::send_head(uint16_t status, BodyKind body, uint64_t length, bool end,
                                     Fields fields) {
  ResponseHead response(arena_);
  response.status = status;
  response.body = body;
  response.content_length = length;
  add_fields(response.headers, fields);
  owner_.codec.send_head(id, response, end);
}

void ServerRecord::Stream::send_end(Fields trailers) {
  Headers fields(arena_);
  add_fields(fields, trailers);
  owner_.codec.send_end(id, fields);
}

void ServerRecord::Stream::interim(uint16_t status, Fields fields) {
  ResponseHead response(arena_);
  response.status = status;
  add_fields(response.headers, fields);
  owner_.codec.send_interim(id, response);
}

void answer_all(ServerRecord& server) {
  server.when_end = [](ServerRecord::Stream& stream) { stream.answer(200); };
  server.when_error = [](ServerRecord::Stream& stream, ErrorCode code) {
    stream.answer(describe(code).status);
  };
}

}  // namespace tidegate::http::http1
