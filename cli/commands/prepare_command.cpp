// popcorn prepare: fills a stock of preparations, so that answers take their online phase alone.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/keys.h"
#include "cli/options/connection_options.h"
#include "cli/options/stock_options.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/notes.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "models/network/arg_max.h"
#include "service/client/rest_client.h"
#include "service/client/stock_refill.h"

namespace popcorn::cli {

namespace {

struct PrepareOptions {
  ConnectionOptions connection;
  std::string model;
  KeyOptions key;
  std::string engine = "shares";  ///< of the engines that prepare, the one whose answers are exact
  std::string output = "logits";
  std::string folder;
  std::size_t stock = 0;
  std::size_t keep = 0;
  bool json = false;
};

constexpr std::chrono::seconds kLook{2};       ///< how often a daemon looks at its stock
constexpr std::chrono::seconds kPatience{30};  ///< after a server was busy or away

class Preparer {
 public:
  Preparer(const PrepareOptions& options, std::shared_ptr<const paillier::KeyOwner> owner)
      : options_(options),
        owner_(std::move(owner)),
        stock_(stock_folder(options.folder, options.key.file), *owner_),
        client_(options.connection.server, connection()),
        refill_(client_, stock_, owner_, model()) {}

  /// Makes what is missing. @param wanted preparations for the model as the server has it now
  void fill(std::size_t wanted) {
    Progress progress("preparing");
    const std::size_t made_before = refill_.count().made;
    const auto show = [&](std::uint64_t done, std::uint64_t rounds, const std::string& step) {
      const std::uint64_t made = refill_.count().made - made_before;
      const std::uint64_t left = wanted - std::min(wanted, refill_.count().ready);
      progress.update(made * rounds + done, (made + left) * rounds, step);
    };
    const auto tell = [&](const service::PreparationFacts& facts) {
      if (options_.json) return;
      progress.clear();
      notes() << "preparation " << refill_.count().ready << " of " << wanted << " for " << facts.model
              << " at " << options_.connection.server << ": " << human_bytes(facts.bytes_up) << " up, "
              << human_bytes(facts.bytes_down) << " down\n";
    };
    refill_.fill(wanted, show, tell, [] { return interrupted().load(); });
  }

  /// Until Ctrl-C or SIGTERM.
  void keep(std::size_t wanted) {
    while (!interrupted()) {
      std::chrono::seconds pause = kLook;
      try {
        fill(wanted);
      } catch (const RefusedError& error) {
        std::cerr << "popcorn: " << error.what() << "; trying again later\n";
        pause = kPatience;
      } catch (const NetworkError& error) {
        std::cerr << "popcorn: " << error.what() << "; trying again later\n";
        pause = kPatience;
      } catch (const IoError& error) {  // a disk that takes no more
        std::cerr << "popcorn: " << error.what() << "; trying again later\n";
        pause = kPatience;
      }
      const auto end = std::chrono::steady_clock::now() + pause;
      while (!interrupted() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  void report() const {
    const service::StockRefill::Count& count = refill_.count();
    if (options_.json) {
      print_json(std::cout, {{"folder", stock_.folder().string()},
                             {"ready", count.ready},
                             {"made", count.made},
                             {"dropped", count.dropped},
                             {"bytes_up", count.bytes_up},
                             {"bytes_down", count.bytes_down}});
      return;
    }
    std::cout << count.ready << " preparations in " << stock_.folder().string() << ", " << count.made
              << " made now";
    if (count.dropped > 0) std::cout << ", " << count.dropped << " of no more use removed";
    std::cout << '\n';
  }

 private:
  service::ClientOptions connection() const {
    service::ClientOptions connection = client_options(options_.connection);
    connection.cancel = &interrupted();
    connection.engine = options_.engine;
    return connection;
  }

  std::string model() const {
    return options_.output == "label" ? options_.model + models::kLabelSuffix : options_.model;
  }

  const PrepareOptions& options_;
  std::shared_ptr<const paillier::KeyOwner> owner_;
  service::Stock stock_;
  service::Client client_;
  service::StockRefill refill_;
};

int prepare(const PrepareOptions& options) {
  if ((options.stock == 0) == (options.keep == 0))
    throw UsageError("prepare.count", "give --stock N (make them and end) or --keep N (stay and refill)");
  std::string key_story;
  const auto owner = key_owner(options.key, key_story);
  notes() << key_story << '\n';
  const InterruptWatch watch;
  Preparer preparer(options, owner);
  if (options.keep > 0) {
    preparer.keep(options.keep);
  } else {
    preparer.fill(options.stock);
    if (interrupted()) throw Error("interrupted", "Interrupted", 130);
  }
  preparer.report();
  return 0;
}

}  // namespace

void add_prepare_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<PrepareOptions>();
  CLI::App* command =
      app.add_subcommand("prepare", "Make preparations ahead, so that answers take their online phase alone");
  add_connection_options(*command, options->connection);
  command->add_option("--model", options->model, "Name of the model on the server")
      ->required()
      ->type_name("NAME");
  command->add_option("--key", options->key.file, "Private key file, of popcorn keygen")
      ->required()
      ->type_name("FILE");
  command->add_option("--stock", options->stock, "Fill the stock up to so many preparations and end")
      ->check(CLI::Range(1, 100'000))
      ->type_name("N");
  command
      ->add_option("--keep", options->keep,
                   "Keep so many in stock until Ctrl-C or SIGTERM; a busy server is asked again later")
      ->check(CLI::Range(1, 100'000))
      ->type_name("N");
  add_test_key_option(*command, options->key);
  add_stock_folder_option(*command, options->folder);
  add_engine_option(*command, options->engine);
  command->add_option("--output", options->output, "logits, or label: what the inputs will be asked for")
      ->type_name("KIND")
      ->check(CLI::IsMember({"logits", "label"}))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Counts as JSON");
  command->footer(
      "Examples:\n"
      "  popcorn prepare --server https://host:8443 --model mnist-conv2 --key my.key --stock 10\n"
      "  popcorn infer --server https://host:8443 --model mnist-conv2 --key my.key models/samples/7_1.png\n");
  command->callback([options, &chosen] { chosen = [options] { return prepare(*options); }; });
}

}  // namespace popcorn::cli
