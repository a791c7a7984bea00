#include "tests/compress/module_runner.h"

#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <sstream>

namespace popcorn::test {

ModuleOutcome run_compress_module(const std::vector<std::string>& arguments) {
  using Main = int (*)(int, const char* const*);
  static void* module = ::dlopen(POPCORN_COMPRESS_MODULE, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(module != nullptr);
  const auto entry = reinterpret_cast<Main>(::dlsym(module, "popcorn_compress_main"));
  REQUIRE(entry != nullptr);
  std::vector<const char*> raw;
  for (const std::string& argument : arguments) raw.push_back(argument.c_str());
  std::ostringstream out, err;
  std::streambuf* const old_out = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const old_err = std::cerr.rdbuf(err.rdbuf());
  const int code = entry(static_cast<int>(raw.size()), raw.data());
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  return {code, out.str(), err.str()};
}

}  // namespace popcorn::test
