# SPDX-License-Identifier: Apache-2.0
# tidegate_unit_test(NAME LIBS...): one doctest program from tests/unit/NAME/*.cc, where there are any.
function(tidegate_unit_test name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${name}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${name} ${CMAKE_SOURCE_DIR}/tests/unit/main.cc ${sources})
  target_include_directories(unit_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(unit_${name} PRIVATE TIDEGATE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(unit_${name} PRIVATE ${ARGN})
  tidegate_use_precompiled(unit_${name} unit_precompiled)
  # It asks doctest's header for more than the others do.
  set_source_files_properties(${CMAKE_SOURCE_DIR}/tests/unit/main.cc
    PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  add_test(NAME unit_${name} COMMAND unit_${name})
  set_tests_properties(unit_${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
