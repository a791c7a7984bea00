// popcorn version: what this build is.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"
#include "paillier/kernels/kernel_registry.h"
#include "popcorn_build_info.h"

namespace popcorn::cli {

namespace {

int version(bool json) {
  if (json) {
    print_json(std::cout, {{"version", kVersion},
                           {"kernel", paillier::kernels::active().name},
                           {"compiler", kCompiler},
                           {"build_type", kBuildType},
                           {"sanitizers", kSanitizers},
                           {"compression", kHasCompression},
                           {"models", shipped_models()}});
    return 0;
  }
  const paillier::kernels::Kernel& kernel = paillier::kernels::active();
  std::cout << "popcorn " << kVersion << '\n'
            << "kernel: " << kernel.name << " (" << kernel.description << ")\n"
            << "build: " << kBuildType << ", " << kCompiler << ", " << (kHasCompression ? "with" : "without")
            << " the compression toolchain\n";
  return 0;
}

}  // namespace

void add_version_command(CLI::App& app, Action& chosen) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("version", "Version, arithmetic kernel and build options");
  command->add_flag("--json", *json, "Report as JSON");
  command->footer("Example:\n  popcorn version --json\n");
  command->callback([json, &chosen] { chosen = [json] { return version(*json); }; });
}

}  // namespace popcorn::cli
