// Settings of `popcorn serve`: where they come from, what is refused, what a signal changes.
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "base/file.h"
#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"
#include "tests/support/certificates.h"

namespace popcorn::test {

namespace {

const std::string kAlice = "alice-0123456789abcdef";
const std::string kBob = "bob-0123456789abcdef";

nlohmann::json printed(const std::vector<std::string>& flags,
                       const std::vector<std::string>& environment = {}) {
  std::vector<std::string> arguments = {"serve", "--print-config", "--json"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  const ProcessResult result = popcorn(arguments, environment);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return json_of(result);
}

void check_setting(const nlohmann::json& config, const std::string& name, const std::string& value,
                   const std::string& origin) {
  INFO(name);
  CHECK(config.at(name).at("value") == value);
  CHECK(config.at(name).at("origin") == origin);
}

std::string write_text(const std::string& path, const std::string& text, unsigned mode = 0600) {
  write_file(path, as_bytes(text), mode);
  return path;
}

ProcessResult models_with_token(const RunningServer& server, const std::string& token) {
  return popcorn({"infer", "--server", server.url(), "--model", "no-such-model", "--insecure-test-key",
                  "--bits", "768", "models/samples/3_1.png"},
                 {"POPCORN_TOKEN=" + token});
}

}  // namespace

TEST_CASE("A flag wins over the environment, that over the file, that over the default", "[command_line]") {
  const TemporaryFolder folder;
  const std::string file = write_text(folder.path("serve.json"),
                                      R"({"port": 1001, "max-keys": 11, "max-body": "3MiB", // a comment
                                          "allow-insecure-remote": true, "models": ["a", "b"]})");
  const auto config =
      printed({"--config", file, "--port", "1003"}, {"POPCORN_SERVE_PORT=1002", "POPCORN_SERVE_MAX_KEYS=12"});
  check_setting(config, "port", "1003", "flag");
  check_setting(config, "max-keys", "12", "environment POPCORN_SERVE_MAX_KEYS");
  check_setting(config, "max-body", "3MiB", "file " + file);
  check_setting(config, "allow-insecure-remote", "true", "file " + file);
  check_setting(config, "host", "127.0.0.1", "default");
  check_setting(config, "sign-test", "oblivious", "default");
  check_setting(config, "subgroup-keys", "false", "default");
  check_setting(config, "sessions-per-token", "16", "default");
  check_setting(config, "sessions-per-day", "1000", "default");
  check_setting(config, "connections-per-address", "32", "default");
  CHECK(config.at("models").at("value") == nlohmann::json{"a", "b"});

  const auto other = printed({"x", "--allow-insecure-remote=false"},
                             {"POPCORN_SERVE_CONFIG=" + file, "POPCORN_SERVE_MODELS=c,d"});
  check_setting(other, "port", "1001", "file " + file);
  check_setting(other, "allow-insecure-remote", "false", "flag");
  CHECK(other.at("models").at("value") == nlohmann::json{"x"});
  CHECK(printed({}, {"POPCORN_SERVE_MODELS=c,d"}).at("models").at("value") == nlohmann::json{"c", "d"});

  const ProcessResult table = popcorn({"serve", "--print-config", "--config", file});
  CHECK(table.exit_code == 0);
  CHECK_THAT(table.out, Catch::Contains("max-keys") && Catch::Contains("file " + file));
}

TEST_CASE("Settings that are unknown or out of bounds are refused by name", "[command_line]") {
  const TemporaryFolder folder;
  const auto refused_file = [&](const std::string& text, const std::string& complaint) {
    INFO(text);
    const ProcessResult result =
        popcorn({"serve", "--config", write_text(folder.path("serve.json"), text), "--print-config"});
    CHECK(result.exit_code == 3);
    CHECK_THAT(result.err, Catch::Contains(complaint) && Catch::Contains("serve.json"));
  };
  refused_file(R"({"prot": 1})", "\"prot\"");
  refused_file(R"({"port": 1, "port": 2})", "\"port\" twice");
  refused_file(R"({"port": [1]})", "\"port\"");
  refused_file(R"({"port": 70000})", "setting port");
  refused_file(R"({"port": "-1"})", "setting port");
  refused_file(R"({"host": null})", "\"host\"");
  refused_file(R"({"models": [1]})", "\"models\"");
  refused_file(R"({"output": "all"})", "any, logits, label");
  refused_file(R"({"max-bodies": "4TB"})", "KiB, MiB or GiB");
  refused_file(R"(["port"])", "one JSON object");
  refused_file(R"({"port": )", "not valid JSON");
  CHECK(popcorn({"serve", "--config", folder.path("missing.json")}).exit_code == 4);

  const ProcessResult typo = popcorn({"serve", "x"}, {"POPCORN_SERVE_PROT=1"});
  CHECK(typo.exit_code == 2);
  CHECK_THAT(typo.err, Catch::Contains("POPCORN_SERVE_PROT"));
  const ProcessResult wrong = popcorn({"serve", "x"}, {"POPCORN_SERVE_PORT=tcp://10.0.0.1:80"});
  CHECK(wrong.exit_code == 2);
  CHECK_THAT(wrong.err, Catch::Contains("POPCORN_SERVE_PORT") && Catch::Contains("0 to 65535"));
  CHECK(popcorn({"serve", "x", "--admin-port", "many"}).exit_code == 2);
  CHECK(popcorn({"serve", "x", "--max-body", "99999999999GiB"}).exit_code == 2);
  CHECK(popcorn({"serve"}).exit_code == 2);
}

TEST_CASE("What is printed of the configuration holds no password", "[command_line]") {
  const auto config = printed({"--tokens", "redis://user:secret@host/0", "--host", "a@b"});
  check_setting(config, "tokens", "redis://***@host/0", "flag");
  check_setting(config, "host", "a@b", "flag");
}

TEST_CASE("An address that others reach needs TLS or the explicit permission", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  const ProcessResult refused = popcorn({"serve", model, "--host", "0.0.0.0", "--port", "0"});
  CHECK(refused.exit_code == 2);
  CHECK_THAT(refused.err, Catch::Contains("without TLS"));
  const ProcessResult admin =
      popcorn({"serve", model, "--port", "0", "--admin-port", "0", "--admin-host", "0.0.0.0"});
  CHECK(admin.exit_code == 2);
  CHECK(popcorn({"serve", model, "--tls-key", "x"}).exit_code == 2);
  const RunningServer permitted(model, {"--host", "0.0.0.0", "--allow-insecure-remote"});
  CHECK_THAT(permitted.url(), Catch::StartsWith("http://0.0.0.0:"));
}

TEST_CASE("SIGHUP reads the tokens again and reopens the log", "[command_line]") {
  const TemporaryFolder folder;
  const std::string tokens = write_text(folder.path("tokens"), kAlice + "\n");
  const std::string log = folder.path("log");
  RunningServer server(write_small_network(folder.path("small.popcorn")),
                       {"--tokens", tokens, "--log", log, "--admin-port", "0"});
  CHECK_THAT(server.ready().at("admin_url").get<std::string>(), Catch::StartsWith("http://127.0.0.1:"));
  CHECK(models_with_token(server, kAlice).exit_code == 7);
  CHECK(models_with_token(server, kBob).exit_code == 6);

  write_text(tokens, "broken\n");
  server.process().send_signal(SIGHUP);
  server.process().wait_for_error_text("[tokens.line]");
  CHECK(models_with_token(server, kAlice).exit_code == 7);

  write_text(tokens, kBob + "\n");
  std::filesystem::rename(log, log + ".1");
  server.process().send_signal(SIGHUP);
  server.process().wait_for_error_text("read again");
  CHECK(models_with_token(server, kAlice).exit_code == 6);
  CHECK(models_with_token(server, kBob).exit_code == 7);
  server.process().send_signal(SIGTERM);
  CHECK(server.process().wait().exit_code == 0);

  const std::string lines = read_text_file(log + ".1") + read_text_file(log);
  for (const char* event :
       {"\"started\"", "\"reload_failed\"", "\"reloaded\"", "\"draining\"", "\"stopped\""})
    CHECK_THAT(lines, Catch::Contains(event));
  CHECK_THAT(lines, !Catch::Contains(kAlice) && !Catch::Contains(kBob));
}

TEST_CASE("The log's level leaves out what is less severe", "[command_line]") {
  const TemporaryFolder folder;
  const std::string log = folder.path("log");
  const std::string tokens = write_text(folder.path("tokens"), kAlice + "\n");
  {
    RunningServer server(write_small_network(folder.path("small.popcorn")),
                         {"--log", log, "--log-level", "warning", "--tokens", tokens});
    CHECK(models_with_token(server, kAlice).exit_code == 7);
    CHECK(models_with_token(server, kBob).exit_code == 6);
    server.process().send_signal(SIGTERM);
    CHECK(server.process().wait().exit_code == 0);
  }
  const std::string text = read_text_file(log);
  CHECK_THAT(text, Catch::Contains("auth.unknown") && !Catch::Contains("\"info\""));
}

}  // namespace popcorn::test
