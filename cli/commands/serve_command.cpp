// popcorn serve: the HTTP server.
#include <tbb/global_control.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/options/serve_options.h"
#include "cli/shipped_files.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/log_file.h"
#include "cli/terminal/output.h"
#include "models/network/arg_max.h"
#include "protocols/engines.h"
#include "service/server.h"

namespace popcorn::cli {

namespace {

std::string url_host(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::string url_of(bool tls, const std::string& host, std::uint16_t port) {
  return (tls ? "https://" : "http://") + url_host(host) + ":" + std::to_string(port);
}

void announce(const ServeOptions& options, std::uint16_t port, std::uint16_t admin_port) {
  std::vector<std::string> names;
  for (const auto& model : options.server.models) {
    const std::string& name = model->network().name;
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  const std::string url = url_of(!options.server.tls_certificate_file.empty(), options.server.host, port);
  const std::string admin_url =
      options.server.admin_port ? url_of(false, options.server.admin_host, admin_port) : "";
  if (options.json) {
    nlohmann::ordered_json ready = {{"event", "ready"}, {"url", url}, {"models", names}};
    if (!admin_url.empty()) ready["admin_url"] = admin_url;
    std::cout << ready.dump() << std::endl;
    return;
  }
  std::cout << "serving";
  for (const std::string& name : names) std::cout << ' ' << name;
  std::cout << " at " << url;
  if (!admin_url.empty()) std::cout << ", metrics at " << admin_url << "/metrics";
  std::cout << " (Ctrl-C stops)" << std::endl;
}

void say_goodbye(const ServeOptions& options, const service::ServerStatistics& saw) {
  if (options.json) {
    std::cout << nlohmann::ordered_json{{"event", "stopped"},
                                        {"requests", saw.requests},
                                        {"sessions_started", saw.sessions_started},
                                        {"sessions_finished", saw.sessions_finished},
                                        {"ciphertexts_received", saw.ciphertexts_received},
                                        {"bytes_received", saw.bytes_received},
                                        {"bytes_sent", saw.bytes_sent},
                                        {"multiplications", saw.multiplications},
                                        {"prepared", saw.prepared},
                                        {"offline_seconds", saw.offline_seconds},
                                        {"seconds",
                                         {{"parse", saw.seconds.parse},
                                          {"linear", saw.seconds.linear},
                                          {"step", saw.seconds.step},
                                          {"output", saw.seconds.output}}}}
                     .dump()
              << std::endl;
    return;
  }
  std::cout << "stopped after " << counted(saw.sessions_finished, "inference") << " ("
            << counted(saw.requests, "request") << "): " << counted(saw.ciphertexts_received, "ciphertext")
            << " received, " << human_bytes(saw.bytes_received) << " in, " << human_bytes(saw.bytes_sent)
            << " out" << std::endl;
}

/// Publishes a network with logits, with the label alone, or both, as the policy says.
/// @param engines that clients may choose; empty = all that can run it
void publish(ServeOptions& options, const models::IntegerNetwork& network,
             const std::vector<std::string>& engines) {
  std::vector<std::string> sign_tests;
  if (options.sign_test != "any") sign_tests.push_back(options.sign_test);
  const auto add = [&](models::IntegerNetwork served) {
    options.server.models.push_back(
        protocols::ServedModel::create(std::move(served), protocols::kDefaultChunk, sign_tests, engines));
  };
  const bool has_label = network.output().shape.size() > 1;
  if (options.output != "label" || !has_label) add(network);
  if (options.output != "logits" && has_label) add(models::with_arg_max(network));
}

/// The networks that the models' names stand for: with engine "any", a shipped one's both forms, the one for
/// shares, which is the default of clients, first.
std::vector<models::IntegerNetwork> networks_of(const ServeOptions& options) {
  std::vector<models::IntegerNetwork> networks;
  for (const std::string& model : options.models) {
    if (options.engine == "any") {
      if (auto form = shipped_requantised_form(model)) networks.push_back(std::move(*form));
    }
    networks.push_back(load_model_for_engine(model, options.engine));
  }
  return networks;
}

/// An exact network with a requantised form of its name beside it is for ciphertexts.
void publish_all(ServeOptions& options) {
  const std::vector<models::IntegerNetwork> networks = networks_of(options);
  for (const models::IntegerNetwork& network : networks) {
    std::vector<std::string> engines;
    if (options.engine != "any") engines.push_back(options.engine);
    const bool has_form = std::ranges::any_of(networks, [&](const models::IntegerNetwork& other) {
      return other.name == network.name && other.is_requantised();
    });
    if (engines.empty() && has_form && !network.is_requantised())
      engines.emplace_back(protocols::kDefaultEngine);
    publish(options, network, engines);
  }
}

/// Tokens, certificate and log file again; what is broken leaves the old in force.
void reload(service::Server& server, LogFile* log) {
  try {
    if (log != nullptr) log->reopen();
    server.reload();
    std::cerr << "popcorn: tokens and certificates were read again\n";
  } catch (const Error& error) {
    std::cerr << "popcorn: error: not reloaded: " << error.what() << " [" << error.code() << "]\n";
  }
}

int serve(ServeOptions& options) {
  const InterruptWatch watch(InterruptWatch::Reload::report);
  std::unique_ptr<tbb::global_control> cores;
  if (options.threads > 0) {
    cores =
        std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism, options.threads);
  }
  publish_all(options);
  std::unique_ptr<LogFile> log;
  if (!options.log.empty()) {
    log = std::make_unique<LogFile>(options.log);
    options.server.log = [&log](const std::string& line) { log->write(line); };
  }
  std::unique_ptr<LogFile> ledger;
  if (!options.preparation_ledger.empty()) {
    ledger = std::make_unique<LogFile>(options.preparation_ledger);
    options.server.preparation_ledger = [&ledger](const std::string& line) { ledger->write(line); };
  }

  service::Server server(options.server);
  const std::uint16_t port = server.bind();
  std::thread signals([&] {
    auto reason = watch.wait();
    for (; reason == InterruptWatch::Reason::reload; reason = watch.wait()) reload(server, log.get());
    server.stop();
  });
  announce(options, port, server.admin_port());
  try {
    server.run();
  } catch (...) {
    watch.wake();
    signals.join();
    throw;
  }
  watch.wake();
  signals.join();
  say_goodbye(options, server.statistics());
  return 0;
}

int serve_or_print(ServeOptions& options, Settings& settings) {
  settings.resolve(options.config_file);
  if (options.print_config) {
    settings.print(std::cout, options.json);
    return 0;
  }
  complete(options);
  return serve(options);
}

constexpr const char* kFooter =
    "Each setting may also come from the environment (--tls-key from POPCORN_SERVE_TLS_KEY) or from a JSON\n"
    "file ({\"models\": [\"mnist-conv2\"], \"tls-key\": \"server.key\"}). A flag wins over the environment, "
    "that\n"
    "over the file. SIGHUP reads tokens and certificates again and reopens the log; SIGTERM ends the server\n"
    "once running sessions are over or --drain-time has passed, a second one at once.\n\n"
    "Example:\n"
    "  popcorn serve mnist-conv2 my-network.popcorn --port 8080\n"
    "  popcorn serve --config serve.json --print-config\n";

}  // namespace

void add_serve_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "Serve models over HTTP until Ctrl-C or SIGTERM");
  auto settings = std::make_shared<Settings>(*command, "POPCORN_SERVE");
  add_serve_settings(*settings, *options);
  command->add_option("--config", options->config_file, "JSON file with settings, see below")
      ->type_name("FILE");
  command->add_flag("--print-config", options->print_config,
                    "Print every setting with its value and where that came from, and end");
  command->add_flag("--json", options->json,
                    "Say on standard output as JSON lines when ready and what was seen");
  command->footer(kFooter);
  command->callback([options, settings, &chosen] {
    chosen = [options, settings] { return serve_or_print(*options, *settings); };
  });
}

}  // namespace popcorn::cli
