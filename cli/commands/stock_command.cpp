// popcorn stock: what preparations a client has.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/keys.h"
#include "cli/options/stock_options.h"
#include "cli/terminal/output.h"
#include "service/client/stock.h"

namespace popcorn::cli {

namespace {

struct StockOptions {
  KeyOptions key;
  std::string folder;
  bool check = false;
  bool prune = false;
  bool json = false;
};

double seconds_until(std::chrono::sys_seconds when) {
  return std::chrono::duration<double>(when - std::chrono::system_clock::now()).count();
}

nlohmann::ordered_json to_json(const service::Stock::Listed& one) {
  return {{"file", one.file.string()},
          {"server", one.facts.server},
          {"model", one.facts.model},
          {"engine", one.facts.engine},
          {"bytes", one.bytes},
          {"expires_in_seconds", seconds_until(one.facts.expires_at)},
          {"problem",
           one.problem.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(one.problem)}};
}

void print(const std::vector<service::Stock::Listed>& all) {
  using Align = Table::Align;
  std::size_t server = 6, model = 5;
  for (const service::Stock::Listed& one : all) {
    server = std::max(server, one.facts.server.size());
    model = std::max(model, one.facts.model.size());
  }
  const Table table({{"server", Align::left, server},
                     {"model", Align::left, model},
                     {"size", Align::right, 9},
                     {"good for", Align::right, 12},
                     {"problem", Align::left, 7}});
  table.print_head(std::cout);
  for (const service::Stock::Listed& one : all) {
    const double left = seconds_until(one.facts.expires_at);
    table.print_row(std::cout,
                    {one.facts.server, one.facts.model, human_bytes(one.bytes),
                     left > 0 ? human_seconds(left) : "-", one.problem.empty() ? "-" : one.problem});
  }
}

int stock(const StockOptions& options) {
  std::string key_story;
  const auto owner = key_owner(options.key, key_story);
  const service::Stock stock(stock_folder(options.folder, options.key.file), *owner);
  const std::size_t removed = options.prune ? stock.prune() : 0;
  const std::vector<service::Stock::Listed> all = stock.list(options.check);
  if (options.json) {
    nlohmann::ordered_json listed = nlohmann::ordered_json::array();
    for (const service::Stock::Listed& one : all) listed.push_back(to_json(one));
    print_json(
        std::cout,
        {{"folder", stock.folder().string()}, {"removed", removed}, {"preparations", std::move(listed)}});
    return 0;
  }
  if (options.prune) std::cout << removed << " removed\n";
  if (all.empty()) {
    std::cout << "no preparations in " << stock.folder().string() << "; popcorn prepare makes some\n";
    return 0;
  }
  print(all);
  return 0;
}

}  // namespace

void add_stock_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<StockOptions>();
  CLI::App* command = app.add_subcommand("stock", "List, check and prune the preparations made ahead");
  command->add_option("--key", options->key.file, "Private key file whose stock it is")
      ->required()
      ->type_name("FILE");
  add_test_key_option(*command, options->key);
  add_stock_folder_option(*command, options->folder);
  command->add_flag("--check", options->check, "Also open the seal of every file");
  command->add_flag("--prune", options->prune, "Remove what has expired, is damaged or was used");
  command->add_flag("--json", options->json, "As JSON");
  command->footer("Example:\n  popcorn stock --key my.key --check\n");
  command->callback([options, &chosen] { chosen = [options] { return stock(*options); }; });
}

}  // namespace popcorn::cli
