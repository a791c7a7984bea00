// popcorn completion: the script through which a shell completes command lines of popcorn.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/manual/completion.h"
#include "cli/manual/completion_scripts.h"
#include "cli/shipped_files.h"

namespace popcorn::cli {

void add_completion_command(CLI::App& app, Action& chosen) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("completion", "Print the script that completes command lines in a shell");
  command->add_option("shell", *shell, "The shell")
      ->required()
      ->type_name("SHELL")
      ->check(CLI::IsMember(completion_shells()));
  command->footer(
      "Words come from the program that stands on the line, so the script needs no update with it.\n\n"
      "Examples:\n  source <(popcorn completion bash)\n"
      "  popcorn completion bash > ~/.local/share/bash-completion/completions/popcorn\n");
  command->callback([shell, &chosen] {
    chosen = [shell] {
      std::cout << completion_script(*shell);
      return 0;
    };
  });
}

int print_completion(CLI::App& app, const std::vector<std::string>& words) {
  if (words.size() > 1 && is_compress_command(words.front())) {
    try {
      describe_compress_commands(app);
    } catch (const Error&) {  // a module that cannot be loaded offers nothing
    }
  }
  print(std::cout, complete(app, words, shipped_models()));
  return 0;
}

}  // namespace popcorn::cli
