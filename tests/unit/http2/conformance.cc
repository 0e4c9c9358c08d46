// SPDX-License-Identifier: Apache-2.0
#include "unit/http2/conformance.h"

#include <doctest/doctest.h>

#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {

void check_cases(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    CAPTURE(std::string(c.section));
    CAPTURE(std::string(c.what));
    {
      ServerRecord server;
      answer_all(server);
      server.begin();
      server.feed(c.bytes);
      if (!c.then.empty()) server.feed(c.then);
      CHECK(server.sent() == c.answer);
      CHECK(server.codec.done() == (c.answer.find("GOAWAY") != std::string::npos));
    }
    ServerRecord server;
    answer_all(server);
    server.begin();
    server.feed_bytes(c.bytes + c.then);
    CHECK(server.sent() == c.answer);
  }
}

std::string connection_error(const std::string& code, unsigned last) {
  return "GOAWAY last " + std::to_string(last) + " " + code + "\n";
}

std::string malformed(unsigned stream) {
  const std::string id = std::to_string(stream);
  return "HEADERS " + id + " :status=400 content-length=0 END\nRST_STREAM " + id +
         " PROTOCOL_ERROR\n";
}

std::string ok(unsigned stream) {
  return "HEADERS " + std::to_string(stream) + " :status=200 content-length=0 END\n";
}

}  // namespace tidegate::http::http2
