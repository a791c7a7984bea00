// popcorn prepare: fills a stock of preparations, so that answers take their online phase alone.
#include <CLI/CLI.hpp>
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
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "models/network/arg_max.h"
#include "service/client/rest_client.h"

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
        client_(options.connection.server, connection()) {}

  /// Makes what is missing. @param wanted preparations for the model as the server has it now
  void fill(std::size_t wanted) {
    const std::string model =
        options_.output == "label" ? options_.model + models::kLabelSuffix : options_.model;
    const protocols::ClientBundle bundle = client_.bundle(model);
    const std::string& server = options_.connection.server;
    dropped_ += stock_.prune() + stock_.forget_other(client_.url(), model, bundle.config_id);
    ready_ = stock_.count(client_.url(), bundle.config_id);
    const std::size_t before = ready_;
    Progress progress("preparing");
    while (ready_ < wanted && !interrupted()) {
      const auto show = [&](std::uint64_t done, std::uint64_t rounds, const std::string& step) {
        progress.update((ready_ - before) * rounds + done, (wanted - before) * rounds, step);
      };
      service::Preparation made = client_.prepare(bundle, owner_, show);
      stock_.add(made);
      ++ready_;
      ++made_;
      bytes_up_ += made.facts.bytes_up;
      bytes_down_ += made.facts.bytes_down;
      if (options_.json) continue;
      progress.clear();
      std::cerr << "preparation " << ready_ << " of " << wanted << " for " << model << " at " << server
                << ": " << human_bytes(made.facts.bytes_up) << " up, " << human_bytes(made.facts.bytes_down)
                << " down\n";
    }
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
      }
      const auto end = std::chrono::steady_clock::now() + pause;
      while (!interrupted() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  void report() const {
    if (options_.json) {
      print_json(std::cout, {{"folder", stock_.folder().string()},
                             {"ready", ready_},
                             {"made", made_},
                             {"dropped", dropped_},
                             {"bytes_up", bytes_up_},
                             {"bytes_down", bytes_down_}});
      return;
    }
    std::cout << ready_ << " preparations in " << stock_.folder().string() << ", " << made_ << " made now";
    if (dropped_ > 0) std::cout << ", " << dropped_ << " of no more use removed";
    std::cout << '\n';
  }

 private:
  service::ClientOptions connection() const {
    service::ClientOptions connection = client_options(options_.connection);
    connection.cancel = &interrupted();
    connection.engine = options_.engine;
    return connection;
  }

  const PrepareOptions& options_;
  std::shared_ptr<const paillier::KeyOwner> owner_;
  service::Stock stock_;
  service::Client client_;
  std::size_t ready_ = 0, made_ = 0, dropped_ = 0;
  std::uint64_t bytes_up_ = 0, bytes_down_ = 0;
};

int prepare(const PrepareOptions& options) {
  if ((options.stock == 0) == (options.keep == 0))
    throw UsageError("prepare.count", "give --stock N (make them and end) or --keep N (stay and refill)");
  std::string key_story;
  const auto owner = key_owner(options.key, key_story);
  std::cerr << key_story << '\n';
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
