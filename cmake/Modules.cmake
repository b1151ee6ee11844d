# cellmill_module(NAME LINKS a b … PRIVATE x y …): the static library of src/NAME, known as cellmill::NAME.
# LINKS are the modules whose headers NAME's own headers may include; PRIVATE is for third-party libraries.
add_library(cellmill_options INTERFACE)
target_compile_options(cellmill_options INTERFACE -Wall -Wextra $<$<BOOL:${CELLMILL_WERROR}>:-Werror>)
if(CELLMILL_SANITIZE)
  target_compile_options(cellmill_options INTERFACE -fsanitize=${CELLMILL_SANITIZE}
                                                    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(cellmill_options INTERFACE -fsanitize=${CELLMILL_SANITIZE})
endif()

if(CELLMILL_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "CELLMILL_FUZZ needs clang (CMAKE_CXX_COMPILER=clang++)")
  endif()
  target_compile_options(cellmill_options INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                                                    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(cellmill_options INTERFACE -fsanitize=address,undefined)
endif()

function(cellmill_module NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/*/*.cpp)
  endif()
  add_library(cellmill_${NAME} STATIC ${ARG_SOURCES})
  add_library(cellmill::${NAME} ALIAS cellmill_${NAME})
  set_target_properties(cellmill_${NAME} PROPERTIES EXPORT_NAME ${NAME})
  target_include_directories(cellmill_${NAME}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_features(cellmill_${NAME} PUBLIC cxx_std_20)
  foreach(module IN LISTS ARG_LINKS)
    target_link_libraries(cellmill_${NAME} PUBLIC cellmill::${module})
  endforeach()
  target_link_libraries(cellmill_${NAME} PRIVATE $<BUILD_INTERFACE:cellmill_options> ${ARG_PRIVATE})
  set_property(GLOBAL APPEND PROPERTY CELLMILL_MODULES cellmill_${NAME})
endfunction()
