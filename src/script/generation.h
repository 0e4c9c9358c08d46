// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/snapshot.h"
#include "script/hook_names.h"

namespace tidegate::script {

/// One compiled Lua file, shared by all workers.
struct Chunk {
  std::string path;
  std::string name;      // what messages call it: the path, relative to the configuration's folder
  std::string bytecode;  // made by the process itself; scripts can load none
  uint64_t hash = 0;     // of the text
  std::vector<LocalHook> local_hooks;
};

/// One loaded version of one script: the file, the modules it requires, and the policies that use
/// it. Numbered; immutable but for modules that are required late. Shared by control thread and
/// workers.
class Generation {
 public:
  /// `limits`: the names that proxy.limit knows while the top level runs; those of the snapshot
  /// that it is first loaded for.
  Generation(std::shared_ptr<const Chunk> main, std::vector<config::Policy> policies,
             std::vector<std::string> folders, std::vector<std::string> limits, uint64_t number)
      : main_(std::move(main)),
        policies_(std::move(policies)),
        folders_(std::move(folders)),
        limits_(std::move(limits)),
        number_(number) {}

  const Chunk& main() const { return *main_; }
  const std::vector<config::Policy>& policies() const { return policies_; }
  const std::vector<std::string>& limits() const { return limits_; }
  /// Those of them that the top level asks for.
  const std::vector<std::string>& used_limits() const { return used_limits_; }
  /// By whoever loaded it, before anybody else knows of it.
  void note_limits(std::vector<std::string> used) { used_limits_ = std::move(used); }
  uint64_t number() const { return number_; }
  std::chrono::system_clock::time_point loaded_at() const { return loaded_at_; }
  /// Names of the hooks that the script defines for a policy, as its top level left them.
  std::vector<std::string> hooks_of(const std::string& policy) const;
  /// By whoever loaded it, before anybody else knows of it.
  void note_hooks(const std::string& policy, std::vector<std::string> hooks);

  /// The module of that name, compiled at its first use. Any thread; takes a lock, so only
  /// `require` calls it, once per module and environment. `in_hook`: requests wait meanwhile, so a
  /// module that takes long to compile is refused.
  Fallible<std::shared_ptr<const Chunk>> module(const std::string& name, bool in_hook) const;
  /// Files that it is made of: the script, then the modules required so far.
  std::vector<std::string> files() const;
  /// No file on disk differs from what was loaded.
  bool is_current() const;

 private:
  const std::shared_ptr<const Chunk> main_;
  const std::vector<config::Policy> policies_;
  const std::vector<std::string> folders_;  // where modules are looked for, in order
  const std::vector<std::string> limits_;
  std::vector<std::string> used_limits_;
  const uint64_t number_;
  const std::chrono::system_clock::time_point loaded_at_ = std::chrono::system_clock::now();
  std::map<std::string, std::vector<std::string>> hooks_;  // by policy
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<const Chunk>> modules_;
};

/// Reads and compiles one file. The error begins with "name:line: " where there is a line. `small`:
/// only if that does not take long.
Fallible<std::shared_ptr<const Chunk>> compile_file(const std::string& path,
                                                    const std::string& name, bool small = false);
/// `path` as messages call it: below `folder`, the rest; else itself.
std::string display_name(const std::string& path, const std::string& folder);

/// The generations in use, by script; immutable, swapped whole.
using GenerationSet = std::vector<std::shared_ptr<const Generation>>;

}  // namespace tidegate::script
