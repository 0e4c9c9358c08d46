// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>

#include "base/intrusive_list.h"
#include "http/http2/field_list.h"
#include "http/http2/outgoing_body.h"

namespace tidegate::http::http2 {

struct OpenStreams;
struct PendingStreams;
struct WritableStreams;

/// What a session knows of one stream. Codecs derive theirs from it; it lives from the stream's
/// first frame to `on_closed`.
struct Stream : ListNode<OpenStreams>, ListNode<PendingStreams>, ListNode<WritableStreams> {
  int32_t wire_id = 0;
  uint32_t unconsumed = 0;  // bytes received that keep the window closed
  OutgoingBody out;
  std::unique_ptr<FieldList> trailers;  // to follow the body
  bool out_ended = false;               // nothing follows `out`
  bool deferred = false;                // nghttp2 waits to be told that there is more
  bool blocked = false;                 // something was left by the last flush
  bool shared = false;                  // the output borrowed kept bytes of it in this flush
  bool reset = false;                   // by the codec
  bool peer_reset = false;              // by the peer, with whatever code
  bool unsendable = false;              // ended since a header block of it is too long to be sent
  bool stalled = false;                 // reset because the peer left it waiting
  bool empty_seen = false;              // its last DATA frame had no bytes
  bool moved = false;                   // bytes of it have gone since `expire_stalled` last looked
  bool paused = false;
};

}  // namespace tidegate::http::http2
