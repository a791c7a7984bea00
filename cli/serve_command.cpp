// popcorn serve: the HTTP server.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/shipped_files.h"
#include "models/arg_max.h"
#include "service/server.h"

namespace popcorn::cli {

namespace {

struct ServeOptions {
  std::vector<std::string> models;
  std::string output = "any";
  std::string sign_test = "any";
  service::ServerOptions server;
  std::string log;
  bool insecure_test_key = false;
  bool json = false;
};

/// One JSON line a request, to a file or to standard error ("-"). Lines of several threads do not mix.
class LogFile {
 public:
  explicit LogFile(const std::string& path) {
    if (path == "-") {
      fd_ = STDERR_FILENO;
      return;
    }
    constexpr mode_t kMode = 0640;
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kMode);
    if (fd_ < 0) throw IoError("log.open", "the log file " + path + " cannot be opened for writing");
  }
  ~LogFile() {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  void write(const std::string& line) {
    const std::string text = line + "\n";
    const std::scoped_lock lock(mutex_);
    const ssize_t written = ::write(fd_, text.data(), text.size());
    static_cast<void>(written);  // a full disk must not end the service
  }

 private:
  std::mutex mutex_;
  int fd_ = -1;
};

std::string url_host(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

void announce(const ServeOptions& options, const std::string& url) {
  std::vector<std::string> names;
  for (const auto& model : options.server.models) names.push_back(model->network().name);
  if (options.json) {
    std::cout << nlohmann::ordered_json{{"event", "ready"}, {"url", url}, {"models", names}}.dump()
              << std::endl;
    return;
  }
  std::cout << "serving";
  for (const std::string& name : names) std::cout << ' ' << name;
  std::cout << " at " << url << " (Ctrl-C stops)" << std::endl;
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

/// Publishes a model with logits, with the label alone, or both, as the policy says.
void publish(ServeOptions& options, const models::IntegerNetwork& network) {
  std::vector<std::string> sign_tests;
  if (options.sign_test != "any") sign_tests.push_back(options.sign_test);
  const auto add = [&](models::IntegerNetwork served) {
    options.server.models.push_back(
        protocols::ServedModel::create(std::move(served), protocols::kDefaultChunk, sign_tests));
  };
  const bool has_label = network.output().shape.size() > 1;
  if (options.output != "label" || !has_label) add(network);
  if (options.output != "logits" && has_label) add(models::with_arg_max(network));
}

int serve(ServeOptions& options) {
  for (const std::string& model : options.models) publish(options, load_model(model));
  std::unique_ptr<LogFile> log;
  if (!options.log.empty()) {
    log = std::make_unique<LogFile>(options.log);
    options.server.log = [&log](const std::string& line) { log->write(line); };
  }
  if (options.insecure_test_key) options.server.key_policy = paillier::KeySizePolicy::insecure_test;

  service::Server server(options.server);
  const InterruptWatch watch;
  const std::uint16_t port = server.bind();
  std::thread stopper([&] {
    watch.wait();
    server.stop();
  });
  announce(options, "http://" + url_host(options.server.host) + ":" + std::to_string(port));
  try {
    server.run();
  } catch (...) {
    watch.wake();
    stopper.join();
    throw;
  }
  watch.wake();
  stopper.join();
  say_goodbye(options, server.statistics());
  return 0;
}

}  // namespace

void add_serve_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<ServeOptions>();
  service::ServerOptions& server = options->server;
  CLI::App* command = app.add_subcommand("serve", "Serve models over HTTP until Ctrl-C or SIGTERM");
  command->add_option("models", options->models, "Paths of .popcorn files or names of shipped models")
      ->required()
      ->type_name("MODEL");
  command->add_option("--host", server.host, "Address to listen on")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command->add_option("--port", server.port, "Port to listen on; 0 takes a free one")
      ->type_name("PORT")
      ->capture_default_str();
  command
      ->add_option("--output", options->output,
                   "What clients may ask for: logits, label (the class alone, as model NAME.label), or any")
      ->type_name("KIND")
      ->check(CLI::IsMember({"any", "logits", "label"}))
      ->capture_default_str();
  command
      ->add_option(
          "--sign-test", options->sign_test,
          "What clients may choose: oblivious (leaks nothing), blinded (leaks noisy magnitudes), or any")
      ->type_name("NAME")
      ->check(CLI::IsMember({"any", "oblivious", "blinded"}))
      ->capture_default_str();
  command->add_flag("--allow-insecure-remote", server.allow_insecure_remote,
                    "Listen on an address that others can reach although the connection has no TLS");
  command
      ->add_option("--session-lifetime", server.session_lifetime_seconds,
                   "Seconds after its last round until a session is forgotten")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  command->add_option("--max-sessions", server.max_sessions, "Sessions at once")
      ->type_name("N")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--max-keys", server.max_keys, "Registered public keys at once")
      ->type_name("N")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command
      ->add_option("--http-threads", server.http_threads, "Threads for connections; 0 chooses from the cores")
      ->type_name("N")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command
      ->add_option("--log", options->log, "Write a JSON line per request to this file; - is standard error")
      ->type_name("FILE");
  command->add_flag("--insecure-test-key", options->insecure_test_key,
                    "Also take keys that are small enough to be broken; for tests only");
  command->add_flag("--json", options->json,
                    "Say on standard output as JSON lines when ready and what was seen");
  command->footer("Example:\n  popcorn serve mnist-conv2 my-network.popcorn --port 8080\n");
  command->callback([options, &chosen] { chosen = [options] { return serve(*options); }; });
}

}  // namespace popcorn::cli
