// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/output_buffer.h"
#include "http/http2/server_codec.h"
#include "unit/http1/record.h"
#include "unit/http2/frames.h"

namespace tidegate::http::http2 {

/// A server codec with the connection and the exchanges around it: feeds bytes as reads of a socket
/// would, flushes behind each, and records what the exchanges hear and what the client is sent.
class ServerRecord final : private ServerCodecOwner {
 public:
  /// One exchange.
  class Call final : public RequestReceiver {
    ServerRecord& owner_;
    Arena arena_;

   public:
    Call(ServerRecord& owner, StreamId given);

    void on_request_head(bool end) override;
    void on_request_body(std::string_view bytes) override;
    void on_request_end() override;
    void on_request_error(ErrorCode code) override;
    void on_response_writable() override;

    // The head, and a body that is known at once.
    void answer(uint16_t status, std::string_view body = {}, const FieldTexts& fields = {});
    void send_head(uint16_t status, BodyKind body, uint64_t length, bool end,
                   const FieldTexts& fields = {});
    void send_body(std::string_view bytes) { owner_.codec.send_body(id, bytes); }
    void send_end(const FieldTexts& trailers = {});
    void interim(uint16_t status, const FieldTexts& fields = {});
    void reset(ErrorCode code = ErrorCode::OriginReset) { owner_.codec.reset(id, code); }
    const std::string& events() const { return record.text(); }

    const StreamId id;
    RequestHead head;
    http1::Record record;
    size_t body_bytes = 0;
    size_t writable = 0;  // times it was said
    bool over = false;    // its response ended, or an error was heard
  };

  explicit ServerRecord(const Settings& settings = {}, Limits given = {});

  /// One read of `bytes`, and the flush behind it.
  void feed(std::string_view bytes);
  /// A read per byte.
  void feed_bytes(std::string_view bytes);
  /// The client's preface, and whatever answers it.
  void begin();
  /// One flush. `blocked`: the transport takes nothing.
  void flush(bool blocked = false);

  /// Frames sent since the last call, one a line.
  std::string sent();
  /// The same, unread.
  std::vector<Frame> frames();
  Call& call(StreamId stream);
  bool has(StreamId stream) const { return calls_.count(stream) > 0; }
  size_t calls() const { return calls_.size(); }
  /// Of all streams, each under its number.
  std::string events() const;
  /// Drops what was recorded of streams that are over, and of frames.
  void forget();

  /// The stream after which the connection takes no other; 0: none.
  StreamId last_stream = 0;
  bool flushes = true;  // behind each feed

  /// What the exchange does from inside its callbacks; empty: nothing.
  std::function<void(Call&)> when_head;
  std::function<void(Call&, std::string_view)> when_body;
  std::function<void(Call&)> when_end;  // also when the head ended it
  std::function<void(Call&, ErrorCode)> when_error;
  std::function<void(Call&)> when_writable;

 private:
  Begun begin_request(StreamId stream) override;

  Limits limits_;
  ArenaBlocks arenas_;
  OutputBlocks blocks_;
  std::map<StreamId, std::unique_ptr<Call>> calls_;
  FrameReader reader_{false};
  std::vector<Frame> frames_;

 public:
  OutputBuffer output;
  ServerCodec codec;
};

/// Answers every request with an empty 200 once it has ended, and every error with its status.
void answer_all(ServerRecord& server);

}  // namespace tidegate::http::http2
