// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "base/arena.h"
#include "base/error.h"
#include "http/message.h"

namespace tidegate::proxy {

struct LocalReply;
struct WorkerContext;

/// All responses that the proxy makes itself pass here: their head, with date, content type and
/// length. The body is `reply.body`; statuses that have none lose it.
http::ResponseHead* local_response(const LocalReply& reply, WorkerContext& context, Arena& arena);

/// Problem details (RFC 9457) of an error: its token and the request's id, nothing else. `status`: 0
/// for the code's own.
LocalReply problem_reply(ErrorCode code, uint16_t status, std::string_view request_id,
                         Arena& arena);

/// The request's content type is one of gRPC's.
bool is_grpc(const http::RequestHead& request);

/// The same answer for a gRPC client, which understands no other: a response that is trailers only,
/// with a grpc-status and a grpc-message. The status is the one that gRPC's own mapping gives for
/// the HTTP status, but for a deadline that has passed; the message is the error's title, or else
/// the body. `failure`: why the proxy answers, None if a script does. REQUIRES: an error, with a
/// status of 400 or above.
http::ResponseHead* grpc_response(const LocalReply& reply, ErrorCode failure,
                                  WorkerContext& context, Arena& arena);

}  // namespace tidegate::proxy
