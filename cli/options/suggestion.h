// What somebody may have meant who mistyped a command or an option.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace popcorn::cli {

/// The known name that takes fewest insertions, removals, exchanges and swaps of neighbours to get to
/// [Damerau 1964; restricted], if these are at most a third of the name's letters; else empty.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// For a command line that did not parse: "Did you mean --engine?", or empty.
std::string suggestion(const CLI::App& app, int argc, const char* const* argv);

}  // namespace popcorn::cli
