// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <tl/expected.hpp>

#include "base/error.h"

namespace tidegate {

/// Outcome on the data path: a value, or the error token that log, metric and reply print.
template <class T>
using Result = tl::expected<T, ErrorCode>;

/// Outcome off the data path (set-up, admin): a value, or a sentence for a person.
template <class T>
using Fallible = tl::expected<T, std::string>;

}  // namespace tidegate
