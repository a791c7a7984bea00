include(GNUInstallDirs)

# Settings that every target of the project shares; nothing global, so a parent project is left alone.
function(popcorn_target_settings target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/popcorn>")
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
  # GCC 12 warns of overlapping copies in std::string where there are none (its bug 105651).
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(POPCORN_DEVELOPER_MODE)
    target_compile_options(${target} PRIVATE -Werror)
  else()
    # What is shipped does not depend on the folder it was built in.
    target_compile_options(${target} PRIVATE "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
  endif()
  if(POPCORN_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${POPCORN_SANITIZE} -fno-omit-frame-pointer -g)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      # Its data before a function's code cannot be emitted for the parts that coroutines are split into.
      target_compile_options(${target} PRIVATE -fno-sanitize=function)
    endif()
    target_link_options(${target} PUBLIC -fsanitize=${POPCORN_SANITIZE})
    if(POPCORN_SANITIZE MATCHES "undefined")
      target_compile_options(${target} PRIVATE -fno-sanitize-recover=undefined)
    endif()
  elseif(POPCORN_HARDENING)
    target_compile_options(${target} PRIVATE -fstack-protector-strong $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
    target_link_options(${target} PUBLIC -Wl,-z,relro,-z,now)
  endif()
endfunction()

# popcorn_library(NAME SOURCES … [LINK …]): the static library popcorn_NAME with the alias popcorn::NAME.
function(popcorn_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK;LINK_PRIVATE")
  add_library(popcorn_${name} STATIC ${arg_SOURCES})
  add_library(popcorn::${name} ALIAS popcorn_${name})
  popcorn_target_settings(popcorn_${name})
  set_target_properties(popcorn_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(popcorn_${name} PUBLIC ${arg_LINK} PRIVATE ${arg_LINK_PRIVATE})
endfunction()

# popcorn_quick_build(TARGET [HEADER…]): for sources where nothing is hot and large headers take most of a build's time.
function(popcorn_quick_build target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  if(ARGN)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
  # Bug 105651 again, in more places: GCC 12 at this level sees endless and misplaced copies in the standard library.
  foreach(warning IN ITEMS array-bounds stringop-overflow stringop-overread)
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-${warning}>)
  endforeach()
endfunction()

# popcorn_test(NAME [LONG] SOURCES … [LINK …]): a Catch2 executable test_NAME, registered with CTest. LONG ones start
# first, so that no core waits for one of them at the end of a run.
function(popcorn_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "LONG" "" "SOURCES;LINK")
  add_executable(test_${name} ${arg_SOURCES})
  popcorn_target_settings(test_${name})
  target_link_libraries(test_${name} PRIVATE ${arg_LINK} popcorn_test_support)
  popcorn_quick_build(test_${name} <catch2/catch.hpp>)
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  if(arg_LONG)
    set_tests_properties(${name} PROPERTIES COST 100)
  endif()
  if(POPCORN_SANITIZE MATCHES "thread")
    set_tests_properties(${name} PROPERTIES
      ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp")
  endif()
endfunction()

# popcorn_compile_together(TARGET "A.cpp B.cpp"…): with POPCORN_COMPILE_TOGETHER, the sources of each list as one.
function(popcorn_compile_together target)
  if(NOT POPCORN_COMPILE_TOGETHER)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  set(number 0)
  foreach(list IN LISTS ARGN)
    math(EXPR number "${number} + 1")
    separate_arguments(sources UNIX_COMMAND "${list}")
    set_source_files_properties(${sources} PROPERTIES UNITY_GROUP "together${number}")
  endforeach()
endfunction()
