// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/arena.h"
#include "base/output_buffer.h"
#include "http/http1/client_codec.h"
#include "unit/http1/record.h"

namespace tidegate::http::http1 {

/// A client codec with an attempt that records what it hears.
class ClientRecord final : private ResponseReceiver {
 public:
  using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  explicit ClientRecord(Limits given = {});

  /// Opens a stream; then `request` says what is sent.
  void open() { stream = codec.open(*this); }
  /// Opens a stream and sends a whole request without body, GET "/" unless told otherwise.
  void get(std::string_view method = "GET", std::string_view upgrade = {});
  /// The head that `send_head` sends; with a Host already.
  RequestHead& request() { return request_; }
  void add_field(std::string_view name, std::string_view value) {
    request_.headers.add(name, value);
  }
  void send_head(bool end) { codec.send_head(stream, request_, end); }
  void send_body(std::string_view bytes) { codec.send_body(stream, bytes); }
  void send_end(Fields trailers = {});

  /// One read of `bytes`.
  void feed(std::string_view bytes);
  void feed_bytes(std::string_view bytes);
  void eof() { codec.receive_eof(); }

  const std::string& events() const { return record_.text(); }
  void clear_events() { record_.clear(); }
  std::string sent() { return take_output(output); }

  /// What the attempt does from inside its callbacks; empty: nothing.
  std::function<void()> when_interim;
  std::function<void()> when_head;
  std::function<void()> when_body;
  std::function<void()> when_over;  // end, be it with the head, or error

 private:
  ResponseHead& begin_response() override { return response_; }
  void on_response_interim() override;
  void on_response_head(bool end) override;
  void on_response_body(std::string_view bytes) override;
  void on_response_end() override;
  void on_response_error(ErrorCode code) override;

  Limits limits_;
  ArenaBlocks arenas_;
  OutputBlocks blocks_;
  Arena arena_;
  RequestHead request_;
  ResponseHead response_;
  Record record_;

 public:
  OutputBuffer output;
  ClientCodec codec;
  StreamId stream = 0;
};

}  // namespace tidegate::http::http1
