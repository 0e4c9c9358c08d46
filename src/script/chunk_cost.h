// SPDX-License-Identifier: Apache-2.0
// What the compiler will have to do with a text, where that can be more than its length says.
#pragma once
#include <cstddef>
#include <string_view>

namespace tidegate::script {

struct ChunkCost {
  /// Words that make a jump. The compiler walks the list of those that lead to one place for each
  /// that is added.
  size_t jumps = 0;
  /// Comparisons of names. The compiler looks for a name among all the local variables in sight,
  /// those of the functions around it too, and for a variable that is assigned to among all the
  /// others on its side of the "=".
  size_t comparisons = 0;
  /// Blocks inside one another; the compiler gives up at 200.
  size_t depth = 0;
};

/// Of a text that may be no Lua: then of as much of it as the compiler reads. Never less than what
/// there is, and about that much in what people write. Takes about 10 ns for a byte.
ChunkCost cost_of_chunk(std::string_view text);

}  // namespace tidegate::script
