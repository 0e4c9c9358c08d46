# SPDX-License-Identifier: Apache-2.0
# The fuzz harnesses over their committed corpora, as ordinary tests.
set(TIDEGATE_FUZZ_FOLDER ${CMAKE_CURRENT_LIST_DIR})
set(TIDEGATE_HTTP1_RECORDS
  ${CMAKE_SOURCE_DIR}/tests/unit/http1/record.cc
  ${CMAKE_SOURCE_DIR}/tests/unit/http1/server_record.cc
  ${CMAKE_SOURCE_DIR}/tests/unit/http1/client_record.cc)

# tidegate_fuzz_replay(NAME CORPUS LIBRARY SOURCES...)
function(tidegate_fuzz_replay name corpus library)
  add_executable(fuzz_replay_${name}
    ${TIDEGATE_FUZZ_FOLDER}/replay.cc ${TIDEGATE_FUZZ_FOLDER}/${name}_fuzz.cc ${ARGN})
  target_include_directories(fuzz_replay_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(fuzz_replay_${name} PRIVATE ${library})
  add_test(NAME fuzz_replay_${name} COMMAND fuzz_replay_${name} ${TIDEGATE_FUZZ_FOLDER}/corpus/${corpus})
  set_tests_properties(fuzz_replay_${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

tidegate_fuzz_replay(server_codec requests tidegate::http1 ${TIDEGATE_HTTP1_RECORDS})
tidegate_fuzz_replay(client_codec responses tidegate::http1 ${TIDEGATE_HTTP1_RECORDS})
tidegate_fuzz_replay(proxy_protocol proxy_protocol tidegate::net)
tidegate_fuzz_replay(dns_answer dns tidegate::net)
set(TIDEGATE_HTTP2_RECORDS
  ${CMAKE_SOURCE_DIR}/tests/unit/http1/record.cc
  ${CMAKE_SOURCE_DIR}/tests/unit/http2/frames.cc
  ${CMAKE_SOURCE_DIR}/tests/unit/http2/server_record.cc
  ${CMAKE_SOURCE_DIR}/tests/unit/http2/client_record.cc)
tidegate_fuzz_replay(http2_server http2_requests tidegate::http2 ${TIDEGATE_HTTP2_RECORDS})
tidegate_fuzz_replay(http2_client http2_responses tidegate::http2 ${TIDEGATE_HTTP2_RECORDS})

# A second opinion on the same corpora.
include(${CMAKE_CURRENT_LIST_DIR}/llhttp/library.cmake)
if(TARGET llhttp_comparison)
  add_executable(llhttp_diff ${TIDEGATE_FUZZ_FOLDER}/llhttp/llhttp_diff.cc)
  target_link_libraries(llhttp_diff PRIVATE llhttp_comparison)
  foreach(corpus requests responses)
    add_test(NAME llhttp_diff_${corpus} COMMAND llhttp_diff ${corpus} ${TIDEGATE_FUZZ_FOLDER}/corpus/${corpus})
    set_tests_properties(llhttp_diff_${corpus} PROPERTIES LABELS unit TIMEOUT 120)
  endforeach()
endif()
