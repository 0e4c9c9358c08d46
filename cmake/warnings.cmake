# SPDX-License-Identifier: Apache-2.0
# Compile options shared by every target of the project.
add_library(tidegate_options INTERFACE)
target_compile_options(tidegate_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  -fno-omit-frame-pointer -fno-plt)
target_compile_definitions(tidegate_options INTERFACE TIDEGATE_VERSION="${PROJECT_VERSION}")
target_include_directories(tidegate_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(TIDEGATE_SANITIZE)
  target_compile_options(tidegate_options INTERFACE -fsanitize=${TIDEGATE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(tidegate_options INTERFACE -fsanitize=${TIDEGATE_SANITIZE})
endif()
