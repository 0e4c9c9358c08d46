# SPDX-License-Identifier: Apache-2.0
# tidegate_layer(NAME FOLDER LIBS...): one static library from the .cc files directly in FOLDER.
function(tidegate_layer name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  if(sources)
    add_library(tidegate_${name} STATIC ${sources})
    target_link_libraries(tidegate_${name} PUBLIC tidegate_options ${ARGN})
    tidegate_use_precompiled(tidegate_${name} tidegate_precompiled)
  else()
    add_library(tidegate_${name} INTERFACE)
    target_link_libraries(tidegate_${name} INTERFACE tidegate_options ${ARGN})
  endif()
  add_library(tidegate::${name} ALIAS tidegate_${name})
endfunction()
