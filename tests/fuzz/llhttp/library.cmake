# SPDX-License-Identifier: Apache-2.0
# llhttp, built from the sources in Debian's node-llhttp, in its strict mode. No target: not there.
find_path(TIDEGATE_LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
find_path(TIDEGATE_LLHTTP_INCLUDE llhttp/llhttp.h PATHS /usr/share/include)
if(TIDEGATE_LLHTTP_SOURCES AND TIDEGATE_LLHTTP_INCLUDE)
  enable_language(C)
  add_library(llhttp STATIC ${TIDEGATE_LLHTTP_SOURCES}/llhttp.c ${TIDEGATE_LLHTTP_SOURCES}/api.c
    ${TIDEGATE_LLHTTP_SOURCES}/http.c)
  target_include_directories(llhttp SYSTEM PUBLIC ${TIDEGATE_LLHTTP_INCLUDE} ${TIDEGATE_LLHTTP_INCLUDE}/llhttp)
  target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
  add_library(llhttp_comparison STATIC ${CMAKE_CURRENT_LIST_DIR}/comparison.cc ${CMAKE_CURRENT_LIST_DIR}/codec_reader.cc
    ${CMAKE_CURRENT_LIST_DIR}/llhttp_reader.cc ${CMAKE_CURRENT_LIST_DIR}/known_differences.cc
    ${CMAKE_CURRENT_LIST_DIR}/../../unit/http1/record.cc ${CMAKE_CURRENT_LIST_DIR}/../../unit/http1/server_record.cc)
  target_include_directories(llhttp_comparison PUBLIC ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(llhttp_comparison PUBLIC tidegate::http1 llhttp)
else()
  message(WARNING "node-llhttp is not installed: the codecs are not compared with it")
endif()
