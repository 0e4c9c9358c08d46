// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/output_buffer.h"
#include "http/http2/client_codec.h"
#include "unit/http1/record.h"
#include "unit/http2/frames.h"

namespace tidegate::http::http2 {

/// A client codec with attempts that record what they hear.
class ClientRecord final {
 public:
  /// One attempt.
  class Call final : public ResponseReceiver {
    ClientRecord& owner_;
    Arena arena_;

   public:
    explicit Call(ClientRecord& owner);

    ResponseHead& begin_response() override;
    void on_response_interim() override;
    void on_response_head(bool end) override;
    void on_response_body(std::string_view bytes) override;
    void on_response_end() override;
    void on_response_error(ErrorCode code) override;
    void on_request_writable() override { ++writable; }

    void send_head(bool end) { owner_.codec.send_head(id, request, end); }
    void send_body(std::string_view bytes) { owner_.codec.send_body(id, bytes); }
    void send_end(const FieldTexts& trailers = {});
    void cancel() { owner_.codec.cancel(id); }
    const std::string& events() const { return record.text(); }

    StreamId id = 0;
    RequestHead request;  // GET of "/" from "origin" unless changed
    ResponseHead* response = nullptr;
    http1::Record record;
    std::string body;
    size_t writable = 0;
    size_t overs = 0;  // counted by the test
    bool over = false;
    bool complete = false;  // over, and well
  };

  explicit ClientRecord(const Settings& settings = {}, Limits given = {});

  /// Settings of the origin, and the flush behind them.
  void begin(std::string_view settings_frame = {});
  /// Opens a stream.
  Call& open();
  /// The same, and a whole request without body.
  Call& get(std::string_view method = "GET", std::string_view upgrade = {});
  Call& call(size_t index) { return *calls_.at(index); }
  size_t calls() const { return calls_.size(); }

  void feed(std::string_view bytes);
  void feed_bytes(std::string_view bytes);
  void flush(bool blocked = false);
  std::string sent() { return describe(frames()); }
  /// Of all streams, each under its number.
  std::string events() const;
  std::vector<Frame> frames() { return std::exchange(frames_, {}); }

  bool flushes = true;  // behind each feed

  /// What the attempts do from inside their callbacks.
  std::function<void(Call&)> when_head;
  std::function<void(Call&)> when_body;
  std::function<void(Call&)> when_over;

 private:
  Limits limits_;
  ArenaBlocks arenas_;
  OutputBlocks blocks_;
  std::vector<std::unique_ptr<Call>> calls_;
  FrameReader reader_{true};
  std::vector<Frame> frames_;

 public:
  OutputBuffer output;
  ClientCodec codec;
};

}  // namespace tidegate::http::http2
