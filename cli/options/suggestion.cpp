#include "cli/options/suggestion.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace popcorn::cli {

namespace {

std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::vector<std::size_t>> cost(from.size() + 1, std::vector<std::size_t>(to.size() + 1));
  for (std::size_t i = 0; i <= from.size(); ++i) {
    for (std::size_t j = 0; j <= to.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const std::size_t exchange = from[i - 1] == to[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + exchange});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[from.size()][to.size()];
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string asked(const std::string& nearest) {
  return nearest.empty() ? "" : "Did you mean " + nearest + "?";
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  const auto steps = [&](const std::string& other) { return distance(name, other); };
  const auto nearest = std::ranges::min_element(known, {}, steps);
  if (nearest == known.end() || 3 * steps(*nearest) > nearest->size()) return "";
  return *nearest;
}

std::string suggestion(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* at = &app;
  for (int i = 1; i < argc; ++i) {
    const std::string word(argv[i]);
    const std::string name = word.substr(0, word.find('='));
    if (name.starts_with("--")) {
      const std::vector<std::string> known = options_of(*at);
      if (std::ranges::find(known, name) == known.end()) return asked(nearest_name(name, known));
      continue;
    }
    const std::vector<std::string> known = commands_of(*at);
    if (known.empty()) continue;
    if (std::ranges::find(known, name) == known.end()) return asked(nearest_name(name, known));
    at = at->get_subcommand(name);
  }
  return "";
}

}  // namespace popcorn::cli
