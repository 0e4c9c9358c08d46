// SPDX-License-Identifier: Apache-2.0
#include "script/scripts.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "script/loaded_script.h"
#include "telemetry/registry.h"

namespace tidegate::script {
namespace {

namespace fs = std::filesystem;

bool same_policy(const config::Policy& a, const config::Policy& b) {
  return a.name == b.name && a.script == b.script && a.options_json == b.options_json &&
         a.budget.cpu == b.budget.cpu && a.budget.memory == b.budget.memory &&
         a.budget.time == b.budget.time && a.on_error == b.on_error && a.env == b.env &&
         a.clusters == b.clusters && a.jit == b.jit && a.trusted == b.trusted &&
         a.isolation == b.isolation;
}

// Only what is alike may share a VM: the budgets and the JIT belong to the VM, so the laxest policy
// in it would decide for all of them.
bool may_share_vm(const config::Policy& a, const config::Policy& b) {
  return a.script == b.script && a.trusted == b.trusted && a.jit == b.jit &&
         a.budget.memory == b.budget.memory && a.isolation == config::Isolation::Shared &&
         b.isolation == config::Isolation::Shared;
}

std::vector<std::string> names_of(proxy::HookSet hooks) {
  std::vector<std::string> names;
  for (size_t i = 0; i < static_cast<size_t>(proxy::Hook::Count_); ++i) {
    const auto hook = static_cast<proxy::Hook>(i);
    if (hooks & proxy::hook_bit(hook)) names.emplace_back(to_string(hook));
  }
  return names;
}

std::vector<std::string> limits_of(const config::Snapshot& snapshot) {
  std::vector<std::string> names;
  for (const config::Limit& limit : snapshot.limits) names.push_back(limit.name);
  return names;
}

// A config that no longer has a limit that the top level asked for must be refused, so that runs
// again.
bool knows_limits(const std::vector<std::string>& limits, const Generation& generation) {
  const auto& used = generation.used_limits();
  return std::all_of(used.begin(), used.end(), [&](const std::string& name) {
    return std::find(limits.begin(), limits.end(), name) != limits.end();
  });
}

std::string joined(const std::vector<std::string>& errors) {
  std::string text;
  for (const std::string& error : errors) text += (text.empty() ? "" : "\n") + error;
  return text;
}

}  // namespace

/// One script as a snapshot uses it, with the policies that share a VM.
struct Scripts::Use {
  std::string path;
  std::string folder;  // that names are relative to: the configuration file's
  std::vector<config::Policy> policies;
  std::vector<std::string> limits;  // of the snapshot, by name
};

Scripts::Scripts(Watchdog& watchdog, ScriptsOptions options)
    : watchdog_(watchdog),
      options_(std::move(options)),
      current_(std::make_shared<const GenerationSet>()) {}

Scripts::~Scripts() = default;

Scripts::Uses Scripts::group(const config::Snapshot& snapshot) const {
  Uses uses;
  for (const config::Policy& policy : snapshot.policies) {
    auto use = std::find_if(uses.begin(), uses.end(), [&](const Use& one) {
      return may_share_vm(one.policies.front(), policy);
    });
    if (use == uses.end()) {
      std::error_code error;
      const std::string folder =
          policy.origin.file.empty()
              ? fs::current_path(error).string()
              : fs::absolute(policy.origin.file, error).parent_path().string();
      use = uses.insert(uses.end(), {policy.script, folder, {}, limits_of(snapshot)});
    }
    use->policies.push_back(policy);
  }
  return uses;
}

std::vector<std::string> Scripts::folders_of(const std::string& script) const {
  const fs::path own = fs::path(script).parent_path();
  std::vector<std::string> folders{own.string(), (own / "scripts").string(),
                                   (own.parent_path() / "scripts").string()};
  folders.insert(folders.end(), options_.library_folders.begin(), options_.library_folders.end());
  return folders;
}

// Compiles the script and runs its top level for each policy, in a VM that is thrown away.
std::shared_ptr<const Generation> Scripts::make(const Use& use, std::vector<std::string>& errors) {
  const auto chunk = compile_file(use.path, display_name(use.path, use.folder));
  if (!chunk) {
    errors.push_back(chunk.error());
    return nullptr;
  }
  auto generation = std::make_shared<Generation>(*chunk, use.policies, folders_of(use.path),
                                                 use.limits, last_number_ + 1);
  // A thread that serves has a watch already.
  std::optional<Watch> own;
  Watch& watch = Watch::of_thread() != nullptr ? *Watch::of_thread() : own.emplace(watchdog_);
  telemetry::Registry registry;
  LoadedScript scratch(generation, watch, registry.add_shard(), nullptr, 0);
  std::vector<std::string> found = scratch.load();
  if (!found.empty()) {
    errors.insert(errors.end(), found.begin(), found.end());
    return nullptr;
  }
  for (const config::Policy& policy : use.policies) {
    generation->note_hooks(policy.name, names_of(scratch.find(policy.name)->hooks()));
  }
  generation->note_limits(std::move(scratch.used_limits));
  ++last_number_;
  return generation;
}

std::vector<std::string> Scripts::load(const config::Snapshot& snapshot) {
  const std::lock_guard loading(loading_);
  std::vector<std::string> errors;
  GenerationSet set;
  for (const Use& use : group(snapshot)) {
    auto old = find(use.policies.front());
    const bool same = old != nullptr && old->is_current() && knows_limits(use.limits, *old) &&
                      std::equal(use.policies.begin(), use.policies.end(), old->policies().begin(),
                                 old->policies().end(), same_policy);
    std::vector<std::string> found;
    set.push_back(same ? std::move(old) : make(use, found));
    if (!found.empty()) note_error(use.policies, joined(found));
    errors.insert(errors.end(), found.begin(), found.end());
  }
  if (errors.empty()) {
    limits_ = limits_of(snapshot);
    for (const auto& generation : set) forget_errors(*generation);
    publish(std::move(set));
  }
  return errors;
}

std::shared_ptr<const Generation> Scripts::find(const config::Policy& first) const {
  for (const auto& generation : *current()) {
    if (same_policy(generation->policies().front(), first)) return generation;
  }
  return nullptr;
}

std::vector<std::string> Scripts::replace(const Generation& old, bool& replaced) {
  const std::string& path = old.main().path;
  const std::string& name = old.main().name;
  const std::string folder =
      path.ends_with(name) ? path.substr(0, path.size() - name.size()) : std::string();
  std::vector<std::string> errors;
  auto made = make({path, folder, old.policies(), limits_}, errors);
  if (made == nullptr) {
    note_error(old.policies(), joined(errors));
    return errors;
  }
  GenerationSet set = *current();
  for (auto& generation : set) {
    if (generation.get() == &old) generation = made;
  }
  replaced = true;
  publish(std::move(set));
  return {};
}

std::vector<std::string> Scripts::reload(std::string_view policy) {
  const std::lock_guard loading(loading_);
  const auto set = current();
  for (const auto& generation : *set) {
    for (const config::Policy& one : generation->policies()) {
      bool replaced = false;
      if (one.name == policy) return replace(*generation, replaced);
    }
  }
  return {"no policy is named '" + std::string(policy) + "'"};
}

std::vector<std::string> Scripts::reload_changed(bool& changed) {
  const std::lock_guard loading(loading_);
  std::vector<std::string> errors;
  const auto set = current();
  for (const auto& generation : *set) {
    if (generation->is_current()) {
      forget_errors(*generation);  // what was refused has gone from the disk
      continue;
    }
    const std::vector<std::string> found = replace(*generation, changed);
    errors.insert(errors.end(), found.begin(), found.end());
  }
  return errors;
}

void Scripts::publish(GenerationSet set) {
  const std::lock_guard lock(mutex_);
  for (const auto& generation : set) {
    const bool is_new =
        std::find(current_->begin(), current_->end(), generation) == current_->end();
    if (!is_new) continue;
    for (const config::Policy& policy : generation->policies()) last_errors_.erase(policy.name);
  }
  current_ = std::make_shared<const GenerationSet>(std::move(set));
}

void Scripts::forget_errors(const Generation& generation) {
  const std::lock_guard lock(mutex_);
  for (const config::Policy& policy : generation.policies()) last_errors_.erase(policy.name);
}

void Scripts::note_error(const std::vector<config::Policy>& policies, const std::string& error) {
  const std::lock_guard lock(mutex_);
  for (const config::Policy& policy : policies) last_errors_[policy.name] = error;
}

std::shared_ptr<const GenerationSet> Scripts::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::vector<std::string> Scripts::files() const {
  std::vector<std::string> files;
  for (const auto& generation : *current()) {
    for (std::string& file : generation->files()) files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::vector<PolicyStatus> Scripts::status() const {
  std::vector<PolicyStatus> all;
  const auto set = current();
  const std::lock_guard lock(mutex_);
  for (const auto& generation : *set) {
    for (const config::Policy& policy : generation->policies()) {
      const auto error = last_errors_.find(policy.name);
      all.push_back({policy.name, policy.script, generation->number(), generation->loaded_at(),
                     generation->hooks_of(policy.name),
                     error == last_errors_.end() ? std::string() : error->second});
    }
  }
  return all;
}

std::vector<std::string> check(const config::Snapshot& snapshot, const ScriptsOptions& options) {
  Watchdog watchdog;
  return Scripts(watchdog, options).load(snapshot);
}

}  // namespace tidegate::script
