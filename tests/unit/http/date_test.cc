// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <doctest/doctest.h>

#include <string>

namespace tidegate::http {

TEST_CASE("a date is read as it is written") {
  DateText text;
  for (const int64_t at :
       {int64_t{0}, int64_t{784111777}, int64_t{951827696}, int64_t{4102444799}}) {
    CAPTURE(at);
    CHECK(parse_date(text.at(at)) == at);
  }
  CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
}

TEST_CASE("what is no date of that form is none") {
  const std::string good = "Sun, 06 Nov 1994 08:49:37 GMT";
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = '#';
    CAPTURE(bad);
    if (i < 3) continue;  // the day of the week says nothing that the rest does not
    CHECK_FALSE(parse_date(bad).has_value());
    CHECK_FALSE(parse_date(good.substr(0, i)).has_value());
  }
  for (const char* bad : {"", "0", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
                          "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Foo 1994 08:49:37 GMT"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_date(bad).has_value());
  }
}

}  // namespace tidegate::http
