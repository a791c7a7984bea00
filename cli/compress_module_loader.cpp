#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/shipped_files.h"
#include "popcorn_build_info.h"

namespace popcorn::cli {

namespace fs = std::filesystem;

namespace {

struct ListedCommand {
  const char* name;
  const char* description;
};
constexpr std::array<ListedCommand, 3> kCommands = {
    {{"train", "Train a network of the zoo and write it as ONNX"},
     {"compress", "Turn an ONNX network into a small integer network (.popcorn)"},
     {"export", "Write an integer network as ONNX, to check its numbers elsewhere"}}};

/// Beside the executable in a build folder, or below the prefix of an installation.
std::optional<fs::path> find_module() {
  constexpr const char* kModule = "libpopcorn_compress_module.so";
  const fs::path beside = own_executable().parent_path();
  const std::array<fs::path, 3> folders = {beside, beside.parent_path() / kModuleFolder,
                                           beside.parent_path() / "lib" / "popcorn"};
  for (const fs::path& folder : folders) {
    std::error_code ignored;
    if (fs::exists(folder / kModule, ignored)) return folder / kModule;
  }
  return std::nullopt;
}

/// A function of the module, which stays loaded: its static objects end with the process.
/// @throws Error "compress.load"
template <typename Function>
Function* loaded_function(const fs::path& path, const char* name) {
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    throw Error("compress.load",
                "the compression module " + path.string() + " cannot be loaded: " + ::dlerror());
  }
  auto* const function = reinterpret_cast<Function*>(::dlsym(module, name));
  if (function == nullptr)
    throw Error("compress.load", path.string() + " is not the compression module of this version");
  return function;
}

}  // namespace

bool is_compress_command(std::string_view name) {
  return std::ranges::any_of(kCommands, [&](const ListedCommand& command) { return name == command.name; });
}

void list_compress_commands(CLI::App& app) {
  for (const ListedCommand& command : kCommands) app.add_subcommand(command.name, command.description);
}

bool describe_compress_commands(CLI::App& app) {
  const std::optional<fs::path> path = find_module();
  if (!path) return false;
  auto* const describe = loaded_function<void(CLI::App&)>(*path, "popcorn_compress_commands");
  for (const ListedCommand& command : kCommands) app.remove_subcommand(app.get_subcommand(command.name));
  describe(app);
  return true;
}

int run_compress_module(int count, const char* const* arguments) {
  if (const std::optional<fs::path> path = find_module())
    return loaded_function<int(int, const char* const*)>(*path, "popcorn_compress_main")(count, arguments);
  throw Error(
      "compress.absent",
      std::string("this build has no compression toolchain, so there is no `popcorn ") + arguments[0] +
          "`; install the Debian packages libtorch-dev and libonnx-dev (scripts/install-deps does) and "
          "configure with -DPOPCORN_COMPRESS=ON, or install the package popcorn-tools");
}

}  // namespace popcorn::cli
