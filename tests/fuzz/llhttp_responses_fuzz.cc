// SPDX-License-Identifier: Apache-2.0
// The input is what an origin sends in answer to GET or HEAD; the codec and llhttp must agree on
// it.
#include "fuzz/llhttp/comparison.h"
#include "fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidegate::llhttp_diff;
  for (const Side side : {Side::Responses, Side::ResponsesToHead}) {
    Comparison responses(side);
    tidegate::fuzz::require(responses.compare({reinterpret_cast<const char*>(data), size}),
                            "llhttp reads the same, or the difference is known");
  }
  return 0;
}
