// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "config/dump.h"
#include "unit/config/environment_table.h"

using namespace tidegate::config;

namespace {

std::vector<std::string> good_texts() {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::directory_iterator(config_folder("ok"))) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    texts.push_back(text.str());
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

/// Loads, and either dumps or prints: no input may end in anything else.
void digest(const std::string& text) {
  CAPTURE(text);
  auto loaded = load_text(text, config_folder("ok/mutated.yaml"), environment_of({}));
  if (loaded) {
    CHECK(!dump(*loaded).empty());
  } else {
    CHECK(!loaded.error().empty());
    for (const Error& error : loaded.error()) CHECK(!error.message.empty());
  }
}

std::string mutate(std::string text, std::mt19937& random) {
  static const std::vector<std::string> kPieces{
      "{",    "}",  "[",     "]",  ": ",   "- ",       "\n",    "  ",   "&a ",    "*a",
      "<<: ", "${", "${A:-", "$$", "\"",   "'",        "|\n",   ">-\n", "!!str ", "!",
      "? ",   "#",  "%",     "\t", "\xff", "\xc3\xa9", "---\n", "..."};
  for (int round = 0; round < 3; ++round) {
    size_t at = random() % (text.size() + 1);
    size_t length = std::min<size_t>(random() % 12, text.size() - at);
    switch (random() % 4) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, kPieces[random() % kPieces.size()]);
        break;
      case 2:
        text.insert(random() % (text.size() + 1), text.substr(at, length));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(random() % 256);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a file cut off anywhere is loaded or refused, never more") {
  for (const std::string& text : good_texts()) {
    for (size_t length = 0; length < text.size(); length += 3) digest(text.substr(0, length));
  }
}

TEST_CASE("a file changed at random is loaded or refused, never more") {
  std::mt19937 random(20);
  for (const std::string& text : good_texts()) {
    for (int i = 0; i < 60; ++i) digest(mutate(text, random));
  }
}
