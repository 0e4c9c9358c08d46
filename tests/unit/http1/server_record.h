// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/output_buffer.h"
#include "http/http1/server_codec.h"
#include "unit/http1/record.h"

namespace tidegate::http::http1 {

using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// A server codec with the connection and the exchanges around it: feeds bytes as reads of a socket
/// would, keeps what was not taken, and records what the exchanges hear.
class ServerRecord final : private ServerCodecOwner {
 public:
  /// One exchange.
  class Stream final : public RequestReceiver {
    ServerRecord& owner_;
    Arena arena_;

   public:
    Stream(ServerRecord& owner, StreamId id);

    void on_request_head(bool end) override;
    void on_request_body(std::string_view bytes) override;
    void on_request_end() override;
    void on_request_error(ErrorCode code) override;

    // The head, and a body that is known at once.
    void answer(uint16_t status, std::string_view body = {}, Fields fields = {});
    void send_head(uint16_t status, BodyKind body, uint64_t length, bool end, Fields fields = {});
    void send_body(std::string_view bytes) { owner_.codec.send_body(id, bytes); }
    void send_end(Fields trailers = {});
    void interim(uint16_t status, Fields fields = {});
    void reset() { owner_.codec.reset(id, ErrorCode::OriginReset); }

    const StreamId id;
    RequestHead head;
  };

  explicit ServerRecord(Limits given = {});

  /// One read of `bytes`.
  void feed(std::string_view bytes);
  /// A read per byte.
  void feed_bytes(std::string_view bytes);
  /// What was kept is offered again, as after the end of a stream.
  void feed_kept();
  void eof() { codec.receive_eof(); }
  size_t kept() const { return kept_.size(); }

  const std::string& events() const { return record_.text(); }
  void clear_events() { record_.clear(); }
  std::string sent() { return take_output(output); }
  Stream& stream() { return *streams_.back(); }
  size_t streams() const { return streams_.size(); }

  /// The stream after which the connection takes no other; 0: none.
  StreamId last_stream = 0;

  /// What the exchange does from inside its callbacks; empty: nothing.
  std::function<void(Stream&)> when_head;
  std::function<void(Stream&, std::string_view)> when_body;
  std::function<void(Stream&)> when_end;  // also when the head ended it
  std::function<void(Stream&, ErrorCode)> when_error;

 private:
  Begun begin_request(StreamId stream) override;

  Limits limits_;
  ArenaBlocks arenas_;
  OutputBlocks blocks_;
  Record record_;
  std::string kept_;
  std::vector<std::unique_ptr<Stream>> streams_;

 public:
  OutputBuffer output;
  ServerCodec codec;
};

/// Answers every request with an empty 200 once it has ended, and every error with its status.
void answer_all(ServerRecord& server);

}  // namespace tidegate::http::http1
