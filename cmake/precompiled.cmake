# SPDX-License-Identifier: Apache-2.0
# Half of a file's compile time goes into the standard library's headers, so they are parsed once for
# all layers and once for all unit tests. Sources still include what they use. A lender has only the
# macros that all have that take from it.
option(TIDEGATE_PRECOMPILED "Parse the standard library's headers once" ON)

set(TIDEGATE_PRECOMPILED_HEADERS
  <algorithm> <array> <atomic> <chrono> <cstdint> <functional> <map> <memory> <mutex> <optional>
  <span> <string> <string_view> <unordered_map> <utility> <vector> <fmt/format.h>)

# tidegate_precompile(LENDER HEADERS...): a target from which others take their precompiled headers.
function(tidegate_precompile lender)
  file(WRITE ${CMAKE_BINARY_DIR}/${lender}.cc "// Built for its precompiled headers.\n")
  add_library(${lender} STATIC ${CMAKE_BINARY_DIR}/${lender}.cc)
  target_link_libraries(${lender} PRIVATE tidegate_options fmt::fmt)
  target_precompile_headers(${lender} PRIVATE ${ARGN})
endfunction()

# tidegate_use_precompiled(TARGET LENDER)
function(tidegate_use_precompiled target lender)
  if(TIDEGATE_PRECOMPILED)
    target_precompile_headers(${target} REUSE_FROM ${lender})
  endif()
endfunction()
