#include "cli/options/stock_options.h"

#include <CLI/CLI.hpp>

namespace popcorn::cli {

void add_stock_folder_option(CLI::App& command, std::string& folder) {
  command
      .add_option(
          "--stock-folder", folder,
          "Folder of the preparations, for its owner alone (mode 0700); by default the key's file name "
          "with .stock")
      ->type_name("FOLDER");
}

std::filesystem::path stock_folder(const std::string& folder, const std::string& key_file) {
  return folder.empty() ? key_file + ".stock" : folder;
}

}  // namespace popcorn::cli
