// A command's page for man(1), from the command's own description.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace popcorn::cli {

/// "popcorn-bench-paillier": the names of the commands above it and its own.
std::string man_page_name(const CLI::App& command);

/// In roff's man macros, section 1. The same command gives the same bytes: there is no date in it. Of a
/// command's footer the paragraphs "Exit code…" and "Environment: …" and its examples become sections of
/// their own.
std::string man_page(const CLI::App& command, const std::string& version);

/// Whether it is listed in help: what is hidden has no page and is not completed.
bool is_listed(const CLI::App& command);

}  // namespace popcorn::cli
