// SPDX-License-Identifier: Apache-2.0
// What an expression in a hook gives, without the ceremony around it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/log.h"
#include "unit/script/policy_rig.h"

namespace tidegate::script {

/// Keeps the operational log to itself for the time of a test.
struct LogLines {
  LogLines() {
    log::redirect([this](std::string_view line) { text += std::string(line) + "\n"; });
  }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  ~LogLines() { log::redirect(nullptr); }
  std::string text;
};

/// A policy with that script, p.lua, and a name that no other has had: a log line of one is not
/// held back because another has said the same.
inline config::Policy& fresh_policy(PolicyRig& rig, std::string_view text) {
  static int number = 0;
  config::Policy& policy = rig.policy("p" + std::to_string(++number), "");
  policy.script = rig.folder.write("p.lua", text);
  return policy;
}

/// The value of an expression over `request` in on_request, as the answer's body.
inline std::string asked(const std::string& expression, const std::string& target = "/a?x=1",
                         const PolicyRig::Pairs& headers = {}) {
  PolicyRig rig;
  rig.policy("p",
             "function on_request(request) request:reply(200, tostring(" + expression + ")) end");
  const std::vector<std::string> errors = rig.load();
  if (!errors.empty()) return errors.front();
  return rig.get(target, headers).body;
}

/// What statements in on_request raise; empty: nothing.
inline std::string raised(const std::string& statements, const std::string& target = "/a?x=1",
                          const PolicyRig::Pairs& headers = {}) {
  return asked("(function() local ok, message = pcall(function() local h = request.headers " +
                   statements + " end) return ok and '' or message end)()",
               target, headers);
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace tidegate::script
