# [option] POPCORN_DEVELOPER_MODE (default: ON for a top-level build)
# Builds the tests and turns warnings into errors.
option(POPCORN_DEVELOPER_MODE "Build the tests; warnings are errors" ${PROJECT_IS_TOP_LEVEL})
message(STATUS "POPCORN_DEVELOPER_MODE: ${POPCORN_DEVELOPER_MODE}")

# [option] POPCORN_COMPRESS (default: ON when LibTorch and ONNX are installed)
# Builds the compression toolchain: `popcorn train` and `popcorn compress`.
find_package(Torch QUIET)
find_package(ONNX QUIET)
if(TORCH_FOUND AND ONNX_FOUND)
  set(popcorn_compress_default ON)
else()
  set(popcorn_compress_default OFF)
endif()
option(POPCORN_COMPRESS "Build compress/ (needs LibTorch and ONNX)" ${popcorn_compress_default})
message(STATUS "POPCORN_COMPRESS: ${POPCORN_COMPRESS}")

# [option] POPCORN_REDIS (default: ON when hiredis is installed)
# Builds the session store on Redis, for several servers side by side.
pkg_check_modules(HIREDIS QUIET IMPORTED_TARGET hiredis)
option(POPCORN_REDIS "Build the session store on Redis (needs hiredis)" ${HIREDIS_FOUND})
if(POPCORN_REDIS AND NOT HIREDIS_FOUND)
  message(FATAL_ERROR "POPCORN_REDIS needs hiredis (Debian: libhiredis-dev)")
endif()
message(STATUS "POPCORN_REDIS: ${POPCORN_REDIS}")

# [option] POPCORN_SANITIZE (default: empty)
# Sanitizers to build with: "address,undefined" or "thread".
set(POPCORN_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
message(STATUS "POPCORN_SANITIZE: ${POPCORN_SANITIZE}")

# [option] POPCORN_HARDENING (default: ON)
# Stack protector, fortified libc calls, full RELRO, position-independent executable.
option(POPCORN_HARDENING "Compile and link with hardening flags" ON)
message(STATUS "POPCORN_HARDENING: ${POPCORN_HARDENING}")

# [option] POPCORN_BUILD_FUZZERS (default: OFF)
# Builds the libFuzzer targets under tests/fuzz (needs clang).
option(POPCORN_BUILD_FUZZERS "Build the libFuzzer targets (clang only)" OFF)
message(STATUS "POPCORN_BUILD_FUZZERS: ${POPCORN_BUILD_FUZZERS}")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# The one executable and the module with the compression commands lie side by side in the build folder.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")

# [option] POPCORN_COMPILE_TOGETHER (default: OFF)
# Compiles sources with large headers several at a time: for whole builds, as scripts/ make them; whoever changes one
# source is faster without it.
option(POPCORN_COMPILE_TOGETHER "Compile sources with large headers several at a time" OFF)
message(STATUS "POPCORN_COMPILE_TOGETHER: ${POPCORN_COMPILE_TOGETHER}")
