// SPDX-License-Identifier: Apache-2.0
// The way from sources of configuration to a validated Snapshot. Blocking (reads files); not for
// worker threads.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/environment.h"
#include "config/error.h"
#include "config/overlay.h"
#include "config/snapshot.h"

namespace tidegate::config {

using Loaded = tl::expected<Snapshot, Errors>;

/// A YAML file. All faults at once, sorted by position.
Loaded load_file(const std::string& path, const Environment& environment);
/// YAML text as if read from `name`; relative paths start from the folder of `name`.
Loaded load_text(std::string_view text, const std::string& name, const Environment& environment);
/// TIDEGATE_* variables only.
Loaded from_environment(const Environment& environment);

/// Where one run's configuration comes from; loads it anew for each reload.
class Source {
 public:
  /// `file` empty: from the environment.
  Source(std::string file, Overrides overrides, Environment environment)
      : file_(std::move(file)),
        overrides_(std::move(overrides)),
        environment_(std::move(environment)) {}

  Loaded load() const;
  /// The config file; empty when there is none. Scripts are not among what it names.
  const std::string& file() const { return file_; }
  const Environment& environment() const { return environment_; }

 private:
  std::string file_;
  Overrides overrides_;
  Environment environment_;
};

}  // namespace tidegate::config
