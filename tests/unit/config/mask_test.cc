// SPDX-License-Identifier: Apache-2.0
// What of a configuration is shown.
#include <doctest/doctest.h>

#include "config/dump.h"
#include "unit/config/environment_table.h"

using namespace tidegate::config;

TEST_CASE("O15: what variables gave is not shown, wherever it stands") {
  const auto environment = environment_of({{"URL", "http://10.7.7.7:80"},
                                           {"S", "hush"},
                                           {"N", "hush.test"},
                                           {"P", "/hush"},
                                           {"C", "77"}});
  auto loaded = load_text(
      "listeners: [{ address: 127.0.0.1:0, max_connections: \"${C}\" }]\n"
      "clusters: { users: { endpoints: [http://10.0.0.1, \"${URL}\"],\n"
      "                     health_check: { status: [200, \"2${C}\"] } } }\n"
      "routes:\n"
      "  - { cluster: users, match: { hosts: [seen.test, \"${N}\"], headers: { X-A: \"${S}\" } } "
      "}\n"
      "  - { match: { path: \"${P}\" }, respond: { body: \"<${S}>\", headers: { X-B: \"a ${S}\" } "
      "} }\n"
      "  - { match: { path: /x }, redirect: \"${P:-/y}\" }\n"
      "  - { match: { path: /y }, respond: { body: \"${NONE:-hush}\" } }\n",
      config_folder("ok/inline.yaml"), environment);
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  const std::string shown = dump(*loaded);
  CAPTURE(shown);
  for (const char* secret : {"hush", "10.7.7.7", "77"}) {
    CHECK(shown.find(secret) == std::string::npos);
  }
  CHECK(shown.find("http://10.0.0.1") != std::string::npos);
  CHECK(shown.find("cluster: users") != std::string::npos);
  CHECK(dump_json(*loaded).find("hush") == std::string::npos);
}
