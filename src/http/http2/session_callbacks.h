// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nghttp2/nghttp2.h>

#include "http/http2/settings.h"

namespace tidegate::http::http2 {

class Session;
struct Stream;

/// A nghttp2 session that reports to `owner`.
nghttp2_session* new_session(bool server, const Settings& settings, Session& owner);
/// Where nghttp2 finds the body of `stream`.
nghttp2_data_provider body_provider(Stream& stream);

}  // namespace tidegate::http::http2
