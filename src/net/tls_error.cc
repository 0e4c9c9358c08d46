// SPDX-License-Identifier: Apache-2.0
#include "net/tls_error.h"

#include <openssl/err.h>

#include <cstring>

namespace tidegate::net {

std::string take_openssl_error() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(code);
    std::string one = reason != nullptr ? reason : "error " + std::to_string(code);
    if (ERR_SYSTEM_ERROR(code)) one = std::strerror(ERR_GET_REASON(code));
    // The same fault is often reported by several layers.
    if (text.find(one) != std::string::npos) continue;
    if (!text.empty()) text += ", ";
    text += one;
  }
  return text.empty() ? "unknown error" : text;
}

}  // namespace tidegate::net
