#include <dlfcn.h>

#include <array>
#include <filesystem>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/shipped_files.h"

namespace popcorn::cli {

namespace fs = std::filesystem;

int run_compress_module(int count, const char* const* arguments) {
  constexpr const char* kModule = "libpopcorn_compress_module.so";
  using Main = int (*)(int, const char* const*);
  const fs::path beside = own_executable().parent_path();
  const std::array<fs::path, 2> candidates = {beside / kModule,
                                              beside.parent_path() / "lib" / "popcorn" / kModule};
  for (const fs::path& candidate : candidates) {
    std::error_code ignored;
    if (!fs::exists(candidate, ignored)) continue;
    void* module = ::dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) {
      throw Error("compress.load",
                  "the compression module " + candidate.string() + " cannot be loaded: " + ::dlerror());
    }
    const auto entry = reinterpret_cast<Main>(::dlsym(module, "popcorn_compress_main"));
    if (entry == nullptr) {
      throw Error("compress.load", candidate.string() + " is not the compression module of this version");
    }
    return entry(count, arguments);  // the module stays loaded: its static objects end with the process
  }
  throw Error(
      "compress.absent",
      std::string("this build has no compression toolchain, so there is no `popcorn ") + arguments[0] +
          "`; install the Debian packages libtorch-dev and libonnx-dev (scripts/install-deps does) and "
          "configure with -DPOPCORN_COMPRESS=ON");
}

}  // namespace popcorn::cli
