// SPDX-License-Identifier: Apache-2.0
// The codec interfaces: bytes of one connection on one side, protocol-neutral message events of its
// streams on the other. A codec holds no socket, reads no clock and knows no configuration but its
// Limits. It appends what is to be sent to the connection's OutputBuffer; the connection flushes.
//
// Legal order of events, for each stream and in each direction:
//
//     (interim*) head ── body* ── end          every message
//          └──────────┴───────┴──── error      instead of the rest, at any point before end
//
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/output_buffer.h"
#include "http/message.h"

namespace tidegate::http {

using StreamId = uint32_t;

/// What a peer may send; over it the message is refused.
struct Limits {
  size_t request_line = 8 * 1024;   // 414
  size_t header_bytes = 64 * 1024;  // names, values and the 4 bytes around them; 431 / bad response
  size_t header_count = 100;        // 431
  bool underscores = false;         // false: fields with '_' in their name are dropped

  bool operator==(const Limits&) const = default;
};

/// Receives one request; implemented by the exchange. Called from inside ServerCodec::receive.
class RequestReceiver {
 public:
  /// The head is complete and stands in the RequestHead given at `begin_request`. `end`: no body.
  virtual void on_request_head(bool end) = 0;
  /// `bytes` are valid during the call only; never empty.
  virtual void on_request_body(std::string_view bytes) = 0;
  /// The body has ended; trailers, if any, stand in the head's `trailers`.
  virtual void on_request_end() = 0;
  /// What the client sent breaks the protocol or a limit. Nothing more of this request follows; a
  /// response may still be sent, after which the codec closes the connection (HTTP/1) or resets the
  /// stream (HTTP/2). ClientClosed (HTTP/2): the client has reset the stream, or the connection is
  /// over; it may also come after the request's end, and what is still sent goes nowhere.
  virtual void on_request_error(ErrorCode code) = 0;
  /// The stream takes response bytes again after ServerCodec::write_blocked was true. On HTTP/1 it
  /// is the connection that says so.
  virtual void on_response_writable() {}

 protected:
  ~RequestReceiver() = default;
};

/// Receives one response; implemented by the attempt. Called from inside ClientCodec::receive.
class ResponseReceiver {
 public:
  /// The head to fill next; called before each interim and the final head.
  virtual ResponseHead& begin_response() = 0;
  virtual void on_response_interim() = 0;
  virtual void on_response_head(bool end) = 0;
  virtual void on_response_body(std::string_view bytes) = 0;
  virtual void on_response_end() = 0;
  /// The response can not be completed, or a tunnel whose response has ended already broke. After
  /// it the codec knows the stream no more.
  virtual void on_response_error(ErrorCode code) = 0;
  /// The stream takes request bytes again after ClientCodec::write_blocked was true. On HTTP/1 it
  /// is the connection that says so.
  virtual void on_request_writable() {}

 protected:
  ~ResponseReceiver() = default;
};

/// The connection that owns a ServerCodec.
class ServerCodecOwner {
 public:
  struct Begun {
    RequestHead* head;          // to fill; its arena outlives the stream
    RequestReceiver* receiver;  // gets the stream's events
    bool last = false;          // the connection takes no request after it
  };
  /// A request begins on `stream`. Called when its head is about to be delivered, or when it turned
  /// out malformed (then `on_request_error` follows at once, and the head may be incomplete).
  virtual Begun begin_request(StreamId stream) = 0;

 protected:
  ~ServerCodecOwner() = default;
};

/// Server side of a connection: requests in, responses out.
class ServerCodec {
 public:
  virtual ~ServerCodec() = default;

  /// Takes bytes from the client and gives back how many were consumed. Fewer than all: the codec
  /// will take the rest after the current stream has ended or become a tunnel, or, where too much
  /// output waits, after it has been written; keep them.
  virtual size_t receive(std::string_view bytes) = 0;
  /// The head that is being received took too long: it becomes the error RequestTimeout.
  /// REQUIRES: receiving_head().
  virtual void expire_head() = 0;
  /// The client sends nothing more. An incomplete request becomes an error. REQUIRES: all that it
  /// sent was taken by `receive`.
  virtual void receive_eof() = 0;

  /// An interim response: 100 to 199, without 101.
  virtual void send_interim(StreamId stream, const ResponseHead& head) = 0;
  /// `end`: nothing follows. A 101, or a head that is `connected`, turns the stream into a tunnel:
  /// bytes both ways are its body. So after it the request, which had ended with its head, has body
  /// and end events once more; the stream is open until both directions have ended. If the request
  /// asked for none (`upgrade`, CONNECT) it ends the connection. Any other 2xx to a CONNECT the
  /// client takes for a tunnel (RFC 9110 9.3.6): its body is all that comes out of it.
  virtual void send_head(StreamId stream, const ResponseHead& head, bool end) = 0;
  /// `bytes` may be borrowed until the next flush.
  virtual void send_body(StreamId stream, std::string_view bytes) = 0;
  virtual void send_end(StreamId stream, const Headers& trailers) = 0;
  /// Nothing more of the stream's request is wanted, however little it is: the connection does not
  /// wait for the rest (HTTP/1: it closes after the response). Before send_head.
  virtual void give_up_request(StreamId stream) = 0;
  /// Gives the stream up although its response is not complete; on HTTP/1 the connection ends.
  virtual void reset(StreamId stream, ErrorCode code) = 0;
  /// Finish what runs, accept no new stream (Connection: close, GOAWAY).
  virtual void drain() = 0;
  /// The client has had the time to hear of the drain: it takes no stream any more (HTTP/2: the
  /// GOAWAY that names the last).
  virtual void end_drain() {}

  /// Back-pressure on one stream's request body. True: the codec sees to it by the stream's flow
  /// control. False (HTTP/1): the connection is not to be read from until `resume`.
  virtual bool pause(StreamId) { return false; }
  virtual void resume(StreamId) {}
  /// What was sent on the stream before the last `produce` waits for the client to open its
  /// flow-control window; then its receiver hears on_response_writable. HTTP/1: never.
  virtual bool write_blocked(StreamId) const { return false; }
  /// The connection flushes: append what waits (HTTP/2: frames, as far as windows allow), and copy
  /// what of borrowed bytes can not go yet. `blocked`: the transport takes nothing at present, so
  /// append nothing. HTTP/1 has appended everything already. At its end receivers may hear
  /// on_response_writable, and those of streams that are over on_request_error; what they send then
  /// is for the next flush.
  virtual void produce(bool blocked) { (void)blocked; }
  /// `produce` stopped although more could go, so that one flush does not take for ever: flush
  /// again once this has been written.
  virtual bool has_more() const { return false; }

  /// Called at intervals of the time that a client may leave its windows shut: resets streams whose
  /// bytes have waited for a whole interval. True: streams still wait. HTTP/1: there are none.
  virtual bool expire_stalled() { return false; }

  /// Streams that are open, those included whose response waits to be sent.
  virtual uint32_t open_streams() const = 0;
  /// No stream is open and no partial request waits.
  virtual bool idle() const = 0;
  /// Part of a request head has arrived, the rest has not.
  virtual bool receiving_head() const = 0;
  /// Once the output is flushed the connection is to be closed.
  virtual bool done() const = 0;
  /// Once the output is flushed the sending direction is to be shut down (tunnel half-close).
  virtual bool write_finished() const = 0;
  /// A response that has begun is not complete, and only a reset of the connection can tell: its
  /// end in order would pass for the response's (RFC 9112 6.3, a body without length or chunks).
  virtual bool truncated() const { return false; }
};

/// Client side of a connection: requests out, responses in.
class ClientCodec {
 public:
  virtual ~ClientCodec() = default;

  /// REQUIRES: can_open().
  virtual StreamId open(ResponseReceiver& receiver) = 0;
  virtual bool can_open() const = 0;
  /// After the 101 to a request with `upgrade` (which ended with its head), send_body and send_end
  /// serve the tunnel; on_response_end then is the origin's half-close, and the stream stays open
  /// until send_end or cancel.
  virtual void send_head(StreamId stream, const RequestHead& head, bool end) = 0;
  virtual void send_body(StreamId stream, std::string_view bytes) = 0;
  virtual void send_end(StreamId stream, const Headers& trailers) = 0;
  /// The result is no longer wanted; the receiver gets no further call. On HTTP/1 the connection
  /// can not be used again unless the exchange was complete.
  virtual void cancel(StreamId stream) = 0;

  /// Consumes all bytes. Bytes that belong to no stream make the codec `done`.
  virtual void receive(std::string_view bytes) = 0;
  virtual void receive_eof() = 0;
  /// The transport broke: open streams end with `code`.
  virtual void fail(ErrorCode code) = 0;

  /// As in ServerCodec, for the stream's response body and its request's bytes.
  virtual bool pause(StreamId) { return false; }
  virtual void resume(StreamId) {}
  virtual bool write_blocked(StreamId) const { return false; }
  virtual void produce(bool blocked) { (void)blocked; }
  virtual bool has_more() const { return false; }

  /// Asks the origin for a sign of life; any bytes are one. HTTP/1 has no words for it.
  virtual void ping() {}

  /// How many streams the origin takes at once. REQUIRES: a stream could be opened once.
  virtual size_t streams_allowed() const { return 1; }
  /// An Upgrade can be asked for; known once `can_open` is true.
  virtual bool takes_upgrades() const { return true; }
  /// The origin wants HTTP/1.1 in the place of what this connection speaks; a stream that it refused
  /// for that reason has ended with StreamRefused.
  virtual bool asks_for_http1() const { return false; }
  /// No stream is open.
  virtual bool idle() const = 0;
  /// Close the connection once idle and flushed: it can take no further stream.
  virtual bool done() const = 0;
  virtual bool write_finished() const = 0;
};

}  // namespace tidegate::http
