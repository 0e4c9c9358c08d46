// SPDX-License-Identifier: Apache-2.0
#include "config/dump.h"

#include "config/table.h"

namespace tidegate::config {

std::string dump(const Snapshot& snapshot) {
  return to_yaml(snapshot_section().write(&snapshot));
}

std::string dump_json(const Snapshot& snapshot) {
  return to_json(snapshot_section().write(&snapshot))
      .dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tidegate::config
