// popcorn man: the manual pages.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/manual/man_page.h"
#include "popcorn_build_info.h"

namespace popcorn::cli {

namespace {

struct ManOptions {
  std::vector<std::string> command;
  std::string folder;
};

const CLI::App& command_named(const CLI::App& program, const std::vector<std::string>& names) {
  const CLI::App* at = &program;
  for (const std::string& name : names) {
    const auto below =
        at->get_subcommands([&](const CLI::App* one) { return is_listed(*one) && one->get_name() == name; });
    if (below.empty()) throw UsageError("man.command", at->get_name() + " has no command " + name);
    at = below.front();
  }
  return *at;
}

/// The page of a command and those of all below it.
void write_pages(const CLI::App& command, const std::filesystem::path& folder, bool with_compression) {
  write_file(folder / (man_page_name(command) + ".1"), as_bytes(man_page(command, kVersion)));
  for (const CLI::App* below : command.get_subcommands([](const CLI::App* one) { return is_listed(*one); })) {
    if (with_compression || !is_compress_command(below->get_name()))
      write_pages(*below, folder, with_compression);
  }
}

int man(CLI::App& program, const ManOptions& options) {
  const bool with_compression = describe_compress_commands(program);
  if (options.folder.empty()) {
    if (!with_compression && !options.command.empty() && is_compress_command(options.command.front()))
      throw UsageError("man.command", "this build has no compression toolchain, and no page for it");
    std::cout << man_page(command_named(program, options.command), kVersion);
    return 0;
  }
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) throw IoError("man.folder", "cannot make the folder " + options.folder + ": " + error.message());
  write_pages(program, options.folder, with_compression);
  return 0;
}

}  // namespace

void add_man_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<ManOptions>();
  CLI::App* command = app.add_subcommand("man", "Print the manual page of a command, for man -l");
  command->add_option("command", options->command, "Names of the command; without them the page of popcorn")
      ->type_name("COMMAND");
  command->add_option("--all", options->folder, "Write all pages into this folder instead")
      ->type_name("FOLDER");
  command->footer("Examples:\n  popcorn man infer | man -l -\n  popcorn man bench paillier | man -l -\n");
  command->callback([&app, options, &chosen] { chosen = [&app, options] { return man(app, *options); }; });
}

}  // namespace popcorn::cli
