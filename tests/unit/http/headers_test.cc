// SPDX-License-Identifier: Apache-2.0
#include "http/headers.h"

#include <doctest/doctest.h>

#include <string>

#include "unit/http/fixture.h"

namespace tidegate::http {

TEST_CASE_FIXTURE(ArenaFixture, "fields keep the order of arrival") {
  Headers headers(arena);
  add_all(headers, {{"host", "a"}, {"x-one", "1"}, {"accept", "*/*"}, {"x-one", "2"}});
  CHECK(text_of(headers) == "host: a\nx-one: 1\naccept: */*\nx-one: 2\n");
  CHECK(headers.size() == 4);
}

TEST_CASE_FIXTURE(ArenaFixture, "fields are found by id and by name, known or not") {
  Headers headers(arena);
  add_all(headers, {{"host", "a"}, {"x-one", "1"}, {"cookie", "b"}, {"cookie", "c"}});
  CHECK(headers.get(HeaderId::Host) == "a");
  CHECK(headers.find("host")->value() == "a");
  CHECK(headers.find("x-one")->value() == "1");
  CHECK(headers.get(HeaderId::Cookie) == "b");
  CHECK(headers.count(HeaderId::Cookie) == 2);
  CHECK(headers.find("x-two") == nullptr);
  CHECK(headers.find(HeaderId::Te) == nullptr);
  CHECK(headers.get(HeaderId::Te).empty());
  CHECK(headers.count(HeaderId::Te) == 0);
}

TEST_CASE_FIXTURE(ArenaFixture, "set replaces the first field and removes the rest") {
  Headers headers(arena);
  add_all(headers, {{"cookie", "a"}, {"x-one", "1"}, {"cookie", "b"}, {"x-one", "2"}});
  headers.set(HeaderId::Cookie, "c");
  headers.set("x-one", "3");
  CHECK(text_of(headers) == "cookie: c\nx-one: 3\n");
}

TEST_CASE_FIXTURE(ArenaFixture, "set appends where there was no field") {
  Headers headers(arena);
  headers.set("x-one", "1");
  headers.set("host", "a");
  CHECK(text_of(headers) == "x-one: 1\nhost: a\n");
  CHECK(headers.has(HeaderId::Host));
}

TEST_CASE_FIXTURE(ArenaFixture, "remove takes all fields of a name and tells how many") {
  Headers headers(arena);
  add_all(headers, {{"via", "a"}, {"x-one", "1"}, {"via", "b"}, {"x-two", "2"}});
  CHECK(headers.remove(HeaderId::Via) == 2);
  CHECK_FALSE(headers.has(HeaderId::Via));
  CHECK(headers.remove("x-one") == 1);
  CHECK(headers.remove("x-one") == 0);
  CHECK(headers.remove("host") == 0);
  CHECK(text_of(headers) == "x-two: 2\n");
}

TEST_CASE_FIXTURE(ArenaFixture, "what is present is known after every kind of change") {
  Headers headers(arena);
  add_all(headers, {{"via", "a"}, {"te", "trailers"}, {"x-one", "1"}});
  CHECK(headers.has_any(header_bit(HeaderId::Te) | header_bit(HeaderId::Host)));
  headers.remove_if([](const HeaderField& field) { return field.id() == HeaderId::Te; });
  CHECK_FALSE(headers.has_any(header_bit(HeaderId::Te) | header_bit(HeaderId::Host)));
  CHECK(headers.has(HeaderId::Via));
  CHECK(headers.has(HeaderId::Other));
  headers.clear();
  CHECK(headers.empty());
  CHECK_FALSE(headers.has(HeaderId::Via));
  CHECK_FALSE(headers.has(HeaderId::Other));
}

TEST_CASE_FIXTURE(ArenaFixture, "any number of fields fits") {
  Headers headers(arena);
  for (int i = 0; i < 1000; ++i) {
    headers.add(arena.copy("x-" + std::to_string(i)), arena.copy(std::to_string(i * i)));
  }
  CHECK(headers.size() == 1000);
  CHECK(headers.find("x-0")->value() == "0");
  CHECK(headers.find("x-999")->value() == "998001");
}

TEST_CASE_FIXTURE(ArenaFixture, "a reserved field does not move") {
  Headers headers(arena);
  headers.reserve(40);
  headers.add("host", "a");
  const HeaderField* first = headers.begin();
  for (int i = 1; i < 40; ++i) headers.add("x-one", "1");
  CHECK(headers.begin() == first);
}

}  // namespace tidegate::http
