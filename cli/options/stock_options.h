// Where a client's stock of preparations is.
#pragma once

#include <filesystem>
#include <string>

namespace CLI {
class App;
}

namespace popcorn::cli {

/// --stock-folder.
void add_stock_folder_option(CLI::App& command, std::string& folder);
/// The folder given, or the one beside the key: KEY.stock.
std::filesystem::path stock_folder(const std::string& folder, const std::string& key_file);

}  // namespace popcorn::cli
