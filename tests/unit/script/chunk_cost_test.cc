// SPDX-License-Identifier: Apache-2.0
// What the compiler will have to do with a text: the text is taken apart as the compiler does it,
// so that nothing hides in strings, comments and scopes.
#include "script/chunk_cost.h"

#include <doctest/doctest.h>

#include <string>

using namespace tidegate::script;

namespace {

size_t comparisons(std::string_view text) {
  return cost_of_chunk(text).comparisons;
}

}  // namespace

TEST_CASE("L9: a name is compared with all the variables in sight") {
  CHECK(comparisons("x()") == 1);
  CHECK(comparisons("local a, b, c x()") == 4);
  CHECK(comparisons("local a, b = 1, 2 x() y()") == 6 + 2);  // the comma behind the "="
  CHECK(comparisons("local function f(a, b) x() end") ==
        3 + 5);  // one of them twice: it is from outside
  CHECK(comparisons("function a.b:c(d, ...) x() end") == 1 + 3);
  CHECK(comparisons("do local a, b, c end x()") == 1);
  CHECK(comparisons("for i = 1, 2 do x() end y()") == 5 + 2 + 1);
  CHECK(comparisons("for k, v in f do x() end") == 1 + 6);
  CHECK(comparisons("while a do local b x() end y()") == 1 + 2 + 1);
  CHECK(comparisons("if a then local b x() elseif c then x() else x() end") == 1 + 2 + 2 + 2 + 2);
  CHECK(comparisons("repeat local a until a") == 2);
  CHECK(comparisons("a.b.c:d()") == 1);  // no other of them is looked for
  CHECK(comparisons("local a; return function() return a end") == 1 + 2);
}

TEST_CASE("L9: strings, comments and numbers hide no name and end no block") {
  for (const char* hides : {"'end'", "\"end\"", "'\\'end'", "'\\\\' 'end'", "[[end]]",
                            "[==[ ]] end ]=] end]==]", "--end\n", "--[[end]]", "--[=[end\n]]end]=]",
                            "--[ end\n", "0x1e", "1e5", ".5", "'\\z end'"}) {
    CAPTURE(std::string(hides));
    CHECK(comparisons("do local a, b, c = " + std::string(hides) + " x() end") == 4);
  }
  CHECK(comparisons("local a = 0x1e-x") == 2);
  CHECK(comparisons("local a = 1e-5 x()") == 2);
  CHECK(comparisons("local a = t[x]") == 2 + 2);
  CHECK(comparisons("local a = b..c") == 2 + 2);
  CHECK(cost_of_chunk("x = 'and or' --and\n y = [[ break ]]").jumps == 0);
  CHECK(cost_of_chunk("::a:: x = a and b or c goto a").jumps == 5);
  CHECK(cost_of_chunk("android = order").jumps == 0);
}

TEST_CASE("L9: variables that are assigned to are compared with one another") {
  CHECK(comparisons("a, b, c = 1") == 3 + 2 + 4);
  CHECK(comparisons("f(a, b, c)") == 4);
  CHECK(comparisons("t = {a, b, c}") == 4);
  CHECK(comparisons("f(function() a, b = 1 end)") == 1 + 2 + 2);
}

TEST_CASE("L9: what is no Lua ends somewhere") {
  for (const char* text :
       {"", "end end until )", "'", "\"\\", "[[", "[==", "--[[", "--", "0x", "function", "local",
        "for", "for x", "function f(", "\xff\xfe", "::", "."}) {
    CAPTURE(std::string(text));
    CHECK(comparisons(text) <= 10);
  }
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "do ";
  CHECK(cost_of_chunk(deep).depth > 200);
}
