// What an option takes, read from its type and its checks.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class Option;
}

namespace popcorn::cli {

struct OptionValue {
  std::string name;                  ///< "FILE", "N"; of a list without a name "a|b|c"; empty for flags
  std::vector<std::string> choices;  ///< all that is taken, where the checks list it
  std::string least, most;           ///< of a number, where the checks bound it; else empty
  bool repeats = false;              ///< takes several
};

OptionValue value_of(const CLI::Option& option);

/// The names without their dashes of an argument that stands by itself.
bool is_positional(const CLI::Option& option);
/// "--engine", or "-o" of an option without a long name; "images" of an argument that stands by itself.
std::string shown_name(const CLI::Option& option);

}  // namespace popcorn::cli
