// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/environment.h"

namespace tidegate::config {

/// Replaces `${NAME}` and `${NAME:-default}` (taken when NAME is unset or empty) by the variable's
/// value and `$$` by `$`. A default is expanded too, so `${A:-${B:-x}}` works. A lone `$` stays.
/// The value of a variable is not expanded again.
Fallible<std::string> expand(std::string_view text, const Environment& environment);
/// True for `${NAME:-}` and nothing around it, and for `${A:-${B:-}}`: who writes an empty default
/// means that nothing is to be there.
bool has_empty_default(std::string_view text);

/// YAML gives `{ } [ ] , : #` a meaning that `${NAME:-default}` must not have inside a flow
/// mapping. `shield` replaces them, within such references and in `[::1]:80`, by control bytes of
/// the same length (so marks stay true), and `unshield` puts them back. Text with control bytes of
/// its own must be refused first.
std::string shield(std::string_view text);
std::string unshield(std::string_view text);

}  // namespace tidegate::config
