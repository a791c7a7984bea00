// Tells the constant-time test (scripts/constant-time-test) what is a secret, and what is none although it
// comes from secrets. Under Valgrind secrets are undefined memory, so that a branch or an address that
// depends on one is reported. Nothing at all in every other build.
#pragma once

#ifdef POPCORN_CONSTANT_TIME_TEST
#include <valgrind/memcheck.h>
#define POPCORN_SECRET_BYTES(data, size) static_cast<void>(VALGRIND_MAKE_MEM_UNDEFINED(data, size))
#define POPCORN_DECLASSIFY_BYTES(data, size) static_cast<void>(VALGRIND_MAKE_MEM_DEFINED(data, size))
#define POPCORN_DECLASSIFY(value) VALGRIND_MAKE_MEM_DEFINED(&(value), sizeof(value))
#else
#define POPCORN_SECRET_BYTES(data, size) static_cast<void>(0)
#define POPCORN_DECLASSIFY_BYTES(data, size) static_cast<void>(0)
#define POPCORN_DECLASSIFY(value) static_cast<void>(0)
#endif
