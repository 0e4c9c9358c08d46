// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace tidegate::http::http2 {

/// What a client sends behind its preface, and all that it is sent for it (see `describe`).
struct Case {
  const char* section;  // of RFC 9113, or another where named
  const char* what;
  std::string bytes;
  std::string answer;
  std::string then = {};  // sent once `bytes` are answered
};

/// A server that answers every request with 200, and every error with its status, is given each
/// case: in one read (and one for `then`), and byte by byte. The answers are the same.
void check_cases(const std::vector<Case>& cases);

// Frequent answers.
std::string connection_error(const std::string& code, unsigned last = 0);
/// The request is answered with 400, and its stream reset.
std::string malformed(unsigned stream = 1);
std::string ok(unsigned stream = 1);

}  // namespace tidegate::http::http2
