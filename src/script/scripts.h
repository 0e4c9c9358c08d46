// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/snapshot.h"
#include "script/generation.h"
#include "script/watchdog.h"

namespace tidegate::script {

struct ScriptsOptions {
  /// Where `require` looks after the script's own folder and the folders `scripts` in and beside
  /// it.
  std::vector<std::string> library_folders;
};

/// What the admin address shows of one policy.
struct PolicyStatus {
  std::string policy;
  std::string script;  // path
  uint64_t generation = 0;
  std::chrono::system_clock::time_point loaded_at;
  std::vector<std::string> hooks;  // names of those that it defines
  std::string
      last_error;  // of the version that was refused last; empty: none since the last good one
};

/// All scripts of the process: checks new versions in a scratch VM and numbers them. Every member
/// may be called from any thread, but only one thread loads at a time (the control thread, or
/// whoever holds the reload); it may take up to a second per policy.
class Scripts {
 public:
  Scripts(Watchdog& watchdog, ScriptsOptions options);
  Scripts(const Scripts&) = delete;
  Scripts& operator=(const Scripts&) = delete;
  ~Scripts();

  Watchdog& watchdog() const { return watchdog_; }

  /// Loads the scripts of all policies of a snapshot that is about to be used. A script whose files
  /// and policies are as before keeps its generation. All errors, each with file:line where there
  /// is one; if there is any, nothing has changed.
  std::vector<std::string> load(const config::Snapshot& snapshot);
  /// Loads the script of one policy anew, changed or not, and with it all policies that share it.
  /// Errors as above; "no policy is named …" too.
  std::vector<std::string> reload(std::string_view policy);
  /// Loads anew every script of which a file has changed on disk. Scripts that fail keep their old
  /// generation, the others go live. `changed`: at least one did.
  std::vector<std::string> reload_changed(bool& changed);

  /// What the workers are to adopt after each of the above. Never nullptr.
  std::shared_ptr<const GenerationSet> current() const;
  /// All files the current generations, and refused newer versions, are made of: watch these.
  std::vector<std::string> files() const;
  std::vector<PolicyStatus> status() const;

 private:
  struct Use;
  using Uses = std::vector<Use>;
  Uses group(const config::Snapshot& snapshot) const;
  std::shared_ptr<const Generation> make(const Use& use, std::vector<std::string>& errors);
  std::vector<std::string> folders_of(const std::string& script) const;
  std::shared_ptr<const Generation> find(const config::Policy& first) const;
  std::vector<std::string> replace(const Generation& old, bool& replaced);
  void publish(GenerationSet set);
  void forget_errors(const Generation& generation);
  void note_error(const std::vector<config::Policy>& policies, const std::string& error);

  Watchdog& watchdog_;
  const ScriptsOptions options_;
  std::mutex loading_;               // guards the two that follow
  std::vector<std::string> limits_;  // of the snapshot loaded last, by name
  uint64_t last_number_ = 0;
  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const GenerationSet> current_;
  std::map<std::string, std::string> last_errors_;  // by policy
};

/// For `tidegate check`: every error of every script, as `load` would give them.
std::vector<std::string> check(const config::Snapshot& snapshot, const ScriptsOptions& options);

}  // namespace tidegate::script
