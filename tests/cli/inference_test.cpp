// One inference over HTTP between real processes.
#include <catch2/catch.hpp>
#include <csignal>

#include "base/file.h"
#include "cli/terminal/output.h"
#include "models/datasets/image_reading.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"

namespace popcorn::test {

namespace {

/// What `popcorn infer --json` must say about a picture.
nlohmann::json expected_logits(const models::IntegerNetwork& network, const std::string& picture) {
  const WideVector input = models::encode_image(network.encoding, datasets::read_image(picture));
  return nlohmann::json::parse(cli::exact_integers(models::evaluate(network, input)).dump());
}

std::vector<std::string> infer(const RunningServer& server, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"infer", "--server", server.url(), "--model", "small"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("The answers over HTTP are those of the plaintext network, bit for bit", "[command_line]") {
  const TemporaryFolder folder;
  RunningServer server(write_small_network(folder.path("small.popcorn")));
  CHECK(server.ready().at("models") == nlohmann::json::array({"small", "small.label"}));
  const std::vector<std::string> pictures = {"models/samples/3_1.png", "models/samples/8_1.png",
                                             "models/samples/5_2.png"};
  const ProcessResult result =
      popcorn(with_test_key(infer(server, {pictures[0], pictures[1], pictures[2], "--json"})));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.err, Catch::Contains("temporary"));
  const nlohmann::json report = json_of(result);
  CHECK(report.at("model") == "small");
  CHECK(report.at("key_bits") == 768);
  REQUIRE(report.at("results").size() == pictures.size());
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const nlohmann::json& answer = report.at("results")[i];
    CHECK(answer.at("input") == pictures[i]);
    CHECK(answer.at("logits") == expected_logits(small_network(), pictures[i]));
    const auto chosen = answer.at("class").get<std::size_t>();
    CHECK(answer.at("label") == std::to_string(chosen));
    CHECK(answer.at("probability").get<double>() > 0);
    CHECK(answer.at("seconds").get<double>() > 0);
    CHECK(answer.at("bytes_up").get<std::uint64_t>() > 784 * 2 * 768 / 8);
    CHECK(answer.at("bytes_down").get<std::uint64_t>() > 0);
    CHECK(answer.at("rounds").get<std::uint64_t>() > 1);
  }

  server.process().send_signal(SIGTERM);
  const ProcessResult end = server.process().wait();
  CHECK(end.exit_code == 0);
  const nlohmann::json saw = nlohmann::json::parse(end.out.substr(end.out.find('\n')));
  CHECK(saw.at("event") == "stopped");
  CHECK(saw.at("sessions_finished") == 3);
  CHECK(saw.at("ciphertexts_received").get<std::uint64_t>() > 3 * 784);
}

TEST_CASE("A key file serves for any number of inferences", "[command_line]") {
  const TemporaryFolder folder;
  const RunningServer server(write_small_network(folder.path("small.popcorn")));
  const std::string key = folder.path("key.json");
  REQUIRE(popcorn(with_test_key({"keygen", "-o", key})).exit_code == 0);
  std::vector<std::uint64_t> bytes_up;
  for (int i = 0; i < 3; ++i) {
    const ProcessResult result =
        popcorn(infer(server, {"--insecure-test-key", "--key", key, "models/samples/3_1.png", "--json"}));
    REQUIRE(result.exit_code == 0);
    const nlohmann::json answer = json_of(result).at("results")[0];
    CHECK(answer.at("logits") == expected_logits(small_network(), "models/samples/3_1.png"));
    bytes_up.push_back(answer.at("bytes_up").get<std::uint64_t>());
  }
  // The set-up of the sign test is kept beside the key: a nonce of 16 bytes in place of a point of 32.
  CHECK(bytes_up[0] - bytes_up[1] == 32 - 16);
  CHECK(bytes_up[1] == bytes_up[2]);
  write_file(key + ".ot-state", {}, 0600);
  const ProcessResult damaged =
      popcorn(infer(server, {"--insecure-test-key", "--key", key, "models/samples/3_1.png", "--json"}));
  REQUIRE(damaged.exit_code == 0);
  CHECK_THAT(damaged.err, Catch::Contains(".ot-state"));
  CHECK(json_of(damaged).at("results")[0].at("bytes_up") == bytes_up[0]);
  const ProcessResult text =
      popcorn(infer(server, {"--insecure-test-key", "--key", key, "models/samples/3_1.png"}));
  CHECK(text.exit_code == 0);
  CHECK_THAT(text.out, Catch::Contains("models/samples/3_1.png") && Catch::Contains("%"));
}

TEST_CASE("A model that the server does not have is refused, with those it has", "[command_line]") {
  const TemporaryFolder folder;
  const RunningServer server(write_small_network(folder.path("small.popcorn")));
  const ProcessResult result = popcorn(
      with_test_key({"infer", "--server", server.url(), "--model", "mnist-conv9", "models/samples/3_1.png"}));
  INFO(result.err);
  CHECK(result.exit_code == 7);
  CHECK_THAT(result.err, Catch::Contains("mnist-conv9") && Catch::Contains("small"));
}

TEST_CASE("A test key is refused by a server that was not told to take one", "[command_line]") {
  const TemporaryFolder folder;
  Process server(
      command({"serve", write_small_network(folder.path("small.popcorn")), "--port", "0", "--json"}));
  const std::string url = nlohmann::json::parse(server.read_line()).at("url");
  const ProcessResult result =
      popcorn(with_test_key({"infer", "--server", url, "--model", "small", "models/samples/3_1.png"}));
  INFO(result.err);
  CHECK(result.exit_code == 3);
}

namespace {

/// An inference that is under way for long: a large key, and the server is stopped so that it never answers.
struct LongInference {
  TemporaryFolder folder;
  RunningServer server{write_small_network(folder.path("small.popcorn")), {"--log", folder.path("log")}};
  Process client{
      command(infer(server, {"--insecure-test-key", "--bits", "2048", "models/samples/3_1.png",
                             "models/samples/3_2.png", "models/samples/4_1.png", "models/samples/4_2.png",
                             "models/samples/5_1.png", "models/samples/5_2.png", "models/samples/6_1.png",
                             "models/samples/6_2.png", "models/samples/7_1.png", "models/samples/7_2.png"}))};

  /// Until the first result has been printed, so that the next inference is under way.
  void wait_until_under_way() {
    for (int line = 0; line < 3; ++line) client.read_line();  // two lines of table head
  }
};

}  // namespace

TEST_CASE("A server that dies in mid-inference is a network error", "[command_line]") {
  LongInference inference;
  inference.wait_until_under_way();
  inference.server.process().send_signal(SIGKILL);
  const ProcessResult result = inference.client.wait();
  INFO(result.err);
  CHECK(result.exit_code == 5);
  CHECK_THAT(result.err, Catch::Contains("popcorn: error: ") && Catch::Contains("server"));
}

TEST_CASE("Ctrl-C ends an inference with code 130 and leaves the server working", "[command_line]") {
  LongInference inference;
  inference.wait_until_under_way();
  inference.client.send_signal(SIGINT);
  const ProcessResult result = inference.client.wait();
  INFO(result.err);
  CHECK(result.exit_code == 130);
  CHECK_THAT(result.err, Catch::Contains("interrupted"));
  CHECK(popcorn(with_test_key(infer(inference.server, {"models/samples/9_1.png"}))).exit_code == 0);
}

TEST_CASE("Ctrl-C stops a server gracefully", "[command_line]") {
  const TemporaryFolder folder;
  RunningServer server(write_small_network(folder.path("small.popcorn")));
  server.process().send_signal(SIGINT);
  const ProcessResult end = server.process().wait(Process::Seconds{20});
  CHECK(end.exit_code == 0);
  CHECK_THAT(end.out, Catch::Contains("stopped"));
}

TEST_CASE("The server's log is JSON lines without anything secret", "[command_line]") {
  const TemporaryFolder folder;
  const std::string log = folder.path("log");
  const std::string key = folder.path("key.json");
  REQUIRE(popcorn(with_test_key({"keygen", "-o", key})).exit_code == 0);
  {
    RunningServer server(write_small_network(folder.path("small.popcorn")), {"--log", log});
    REQUIRE(
        popcorn(infer(server, {"--insecure-test-key", "--key", key, "models/samples/3_1.png"})).exit_code ==
        0);
    server.process().send_signal(SIGTERM);
    server.process().wait();
  }
  const std::string text = read_text_file(log);
  std::size_t lines = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    REQUIRE(end != std::string::npos);
    CHECK(nlohmann::json::accept(text.substr(start, end - start)));
    start = end + 1;
    ++lines;
  }
  CHECK(lines >= 3);
  const nlohmann::json secret = nlohmann::json::parse(read_text_file(key));
  CHECK(text.find(secret.at("p").get<std::string>()) == std::string::npos);
}

TEST_CASE("On a terminal a large inference is announced and wants --yes", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = folder.path("wide.popcorn");
  models::write_network(wide_network(), model);
  RunningServer server(model, {"--max-body", "20000"});  // refuses the input: what begins ends soon
  const std::vector<std::string> arguments = {"infer",   "--server", server.url(),
                                              "--model", "wide",     "models/samples/3_1.png"};
  const auto on_a_terminal = [&](std::vector<std::string> more) {
    more.insert(more.begin(), arguments.begin(), arguments.end());
    std::string line;
    for (const std::string& word : command(with_test_key(more))) line += (line.empty() ? "" : " ") + word;
    return std::vector<std::string>{"/usr/bin/script", "-qec", line, "/dev/null"};  // both streams on one
  };
  const ProcessResult asked = run_process(on_a_terminal({}));
  CHECK(asked.exit_code == 2);
  CHECK_THAT(asked.out, Catch::Contains("One inference: ") && Catch::Contains("GB up") &&
                            Catch::Contains("of memory") && Catch::Contains("--yes"));
  CHECK_THAT(run_process(on_a_terminal({"--yes"})).out, Catch::Contains("request.too_large"));
  const ProcessResult unasked = popcorn(with_test_key(arguments));  // nobody could answer
  CHECK_THAT(unasked.err, Catch::Contains("One inference: ") && Catch::Contains("request.too_large"));
}

}  // namespace popcorn::test
