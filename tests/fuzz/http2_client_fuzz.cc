// SPDX-License-Identifier: Apache-2.0
// The input is what an origin sends on one HTTP/2 connection behind its settings, as short frames,
// in answer to a GET, a HEAD, a POST that goes on, and an upgrade. Whatever it is:
//
// - the events do not depend on how the bytes are split;
// - every stream is over once, at the latest when the connection ends;
// - a response that was understood is understood the same once the server codec has sent it on.
#include <string>

#include "fuzz/require.h"
#include "fuzz/short_frames.h"
#include "fuzz/splits.h"
#include "unit/http2/client_record.h"
#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

using fuzz::require;
using fuzz::require_equal;

std::string meaning(ResponseHead& head, const std::string& body) {
  std::string text = std::to_string(head.status);
  head.headers.remove(HeaderId::ContentLength);
  return text + http1::describe_fields(head.headers) + "\n" + body + "\n" +
         http1::describe_fields(head.trailers);
}

/// The response, once more through a server and a client of our own.
void check_round_trip(ResponseHead& head, const std::string& body) {
  for (const HeaderId own : {HeaderId::Te, HeaderId::Http2Settings}) head.headers.remove(own);
  Limits wide;
  wide.header_bytes *= 2;
  ServerRecord server({}, wide);
  server.begin();
  server.feed(settings({{4, 1 << 30}}) + window_update(0, 1 << 30) + get(1));
  server.codec.send_head(1, head, false);
  server.codec.send_body(1, body);
  server.codec.send_end(1, head.trailers);
  server.codec.produce(false);
  ClientRecord next({}, wide);
  std::string again;
  next.begin();
  next.get();
  next.when_body = [&](ClientRecord::Call& call) { again = call.body; };
  next.feed(http1::take_output(server.output));
  require(next.call(0).over && next.call(0).response != nullptr, "what is sent on is whole");
  require_equal(meaning(*next.call(0).response, again), meaning(head, body),
                "a response keeps its meaning");
}

std::string run(const std::vector<std::string_view>& pieces, bool forwards) {
  ClientRecord client;
  client.begin(settings({{8, 1}}));
  client.get();
  client.get("HEAD");
  ClientRecord::Call& post = client.open();
  post.request.body = BodyKind::Streamed;
  post.send_head(false);
  post.send_body("half");
  client.get("GET", "websocket");
  client.when_over = [forwards](ClientRecord::Call& call) {
    // A tunnel whose origin has ended may still break.
    const bool tunnel = call.response != nullptr && call.response->status == 101;
    require(++call.overs <= (tunnel ? 2 : 1), "a stream is over once");
    const bool whole = forwards && call.complete && call.response->status != 101 &&
                       call.response->status != 204 && call.response->status != 304;
    if (whole && call.request.method == Method::Get) check_round_trip(*call.response, call.body);
  };
  client.flushes = false;
  for (const std::string_view piece : pieces) client.feed(piece);
  client.flush();
  std::string events = client.events();
  client.codec.fail(ErrorCode::OriginClosed);
  require(client.codec.idle() && client.codec.done(), "nothing outlives the connection");
  return events;
}

void check(std::string_view bytes) {
  const std::string whole = run({bytes}, true);
  require_equal(run(fuzz::split(bytes, 0), false), whole, "events do not depend on splits");
  require_equal(run(fuzz::split(bytes, 1), false), whole, "events do not depend on splits");
}

}  // namespace
}  // namespace tidegate::http::http2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidegate::http::http2::check(
      tidegate::fuzz::long_frames({reinterpret_cast<const char*>(data), size}));
  return 0;
}
