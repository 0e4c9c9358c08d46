// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nghttp2/nghttp2.h>

namespace tidegate::http::http2 {

/// Where nghttp2 gets its memory: small blocks come from free lists of the thread, since each
/// message takes about a dozen and gives them back. A session lives in one thread.
nghttp2_mem* session_memory();

}  // namespace tidegate::http::http2
