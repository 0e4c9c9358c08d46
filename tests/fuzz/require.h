// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>

namespace tidegate::fuzz {

/// An invariant of the code under test; libFuzzer keeps the input that breaks one.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

inline void require_equal(const std::string& actual, const std::string& expected,
                          const char* what) {
  if (actual == expected) return;
  std::fprintf(stderr, "---- expected\n%s\n---- actual\n%s\n----\n", expected.c_str(),
               actual.c_str());
  require(false, what);
}

}  // namespace tidegate::fuzz
