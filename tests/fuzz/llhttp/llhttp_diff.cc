// SPDX-License-Identifier: Apache-2.0
// Reads every file of a corpus by the codecs and by llhttp, and compares.
// Usage: llhttp_diff requests|responses FOLDER...
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/llhttp/comparison.h"

namespace tidegate::llhttp_diff {
namespace {

int run(Side side, const char* folder) {
  Comparison comparison(side);
  size_t files = 0;
  size_t failures = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
    ++files;
    if (comparison.compare(bytes)) continue;
    ++failures;
    std::printf("    in %s\n", entry.path().c_str());
  }
  comparison.report();
  std::printf("%zu inputs, %zu unexplained differences\n", files, failures);
  return files > 0 && failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tidegate::llhttp_diff

int main(int argc, char** argv) {
  using tidegate::llhttp_diff::Side;
  if (argc < 3) return 2;
  const bool requests = std::string_view(argv[1]) == "requests";
  int status = 0;
  for (int i = 2; i < argc; ++i) {
    if (requests) {
      status |= tidegate::llhttp_diff::run(Side::Requests, argv[i]);
    } else {
      status |= tidegate::llhttp_diff::run(Side::Responses, argv[i]);
      status |= tidegate::llhttp_diff::run(Side::ResponsesToHead, argv[i]);
    }
  }
  return status;
}
