// SPDX-License-Identifier: Apache-2.0
#include "unit/http1/client_record.h"

#include <algorithm>

namespace tidegate::http::http1 {

ClientRecord::ClientRecord(Limits given)
    : limits_(given),
      arena_(arenas_),
      request_(arena_),
      response_(arena_),
      output(blocks_),
      codec(output, limits_) {
  request_.method = Method::Get;
  request_.method_name = "GET";
  request_.path = "/";
  request_.headers.add(HeaderId::Host, "origin");
}

void ClientRecord::get(std::string_view method, std::string_view upgrade) {
  request_.method = method_of(method);
  request_.method_name = method;
  request_.upgrade = upgrade;
  open();
  send_head(true);
}

void ClientRecord::send_end(Fields trailers) {
  Headers fields(arena_);
  for (const auto& [name, value] : trailers) fields.add(name, value);
  codec.send_end(stream, fields);
}

void ClientRecord::feed(std::string_view bytes) {
  // Exactly as long as the bytes, so that a read past them is seen by AddressSanitizer.
  const auto read = std::make_unique<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), read.get());
  codec.receive({read.get(), bytes.size()});
}

void ClientRecord::feed_bytes(std::string_view bytes) {
  for (const char c : bytes) feed({&c, 1});
}

void ClientRecord::on_response_interim() {
  record_.event("interim " + describe_head(response_));
  if (when_interim) when_interim();
}

void ClientRecord::on_response_head(bool end) {
  record_.event(describe_head(response_) + (end ? " end" : ""));
  if (when_head) when_head();
  if (end && when_over) when_over();
}

void ClientRecord::on_response_body(std::string_view bytes) {
  record_.body(bytes);
  if (when_body) when_body();
}

void ClientRecord::on_response_end() {
  record_.end(response_.trailers);
  if (when_over) when_over();
}

void ClientRecord::on_response_error(ErrorCode code) {
  record_.event("error " + std::string(describe(code).token));
  if (when_over) when_over();
}

}  // namespace tidegate::http::http1
