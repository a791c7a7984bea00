// Two server processes on one Redis, one of which is killed in the middle of an inference.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "cli/terminal/output.h"
#include "models/datasets/image_reading.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/cli/command_line.h"
#include "tests/cli/small_network.h"
#include "tests/support/redis_server.h"
#include "tests/support/tcp_balancer.h"

namespace popcorn::test {

namespace {

std::uint16_t port_of(const RunningServer& server) {
  return static_cast<std::uint16_t>(std::stoi(server.url().substr(server.url().rfind(':') + 1)));
}

}  // namespace

TEST_CASE("A server killed in mid-inference loses nothing", "[command_line][replicas]") {
  const TemporaryFolder folder;
  RedisServer redis({"--requirepass", "sesame"});
  write_file(folder.path("password"), as_bytes("sesame\n"), 0600);
  write_file(folder.path("store.key"), as_bytes(std::string(64, '7')), 0600);
  const std::string model = write_small_network(folder.path("small.popcorn"));
  const std::vector<std::string> options = {"--session-store",       redis.url(),
                                            "--store-key",           folder.path("store.key"),
                                            "--store-password-file", folder.path("password"),
                                            "--round-lease",         "1"};
  std::vector<std::unique_ptr<RunningServer>> servers;
  for (int i = 0; i < 2; ++i) servers.push_back(std::make_unique<RunningServer>(model, options));
  const TcpBalancer balancer({port_of(*servers[0]), port_of(*servers[1])});

  const std::vector<std::string> pictures = {"models/samples/3_1.png", "models/samples/8_1.png",
                                             "models/samples/5_2.png"};
  const std::string key = folder.path("key.json");
  REQUIRE(popcorn(with_test_key({"keygen", "-o", key})).exit_code == 0);
  std::vector<std::string> arguments = {
      "infer", "--server", balancer.url(), "--model", "small", "--json", "--insecure-test-key", "--key", key};
  arguments.insert(arguments.end(), pictures.begin(), pictures.end());
  Process client(command(arguments));
  // The set-up is kept after round 1 of the first picture: the client is in the middle then. The balancer
  // sent its one connection to the first server.
  while (!std::filesystem::exists(key + ".ot-state")) ::usleep(1000);
  servers[0]->process().send_signal(SIGKILL);
  const ProcessResult result = client.wait();
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const nlohmann::json report = json_of(result);
  REQUIRE(report.at("results").size() == pictures.size());
  std::uint64_t retries = 0;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const nlohmann::json& answer = report.at("results")[i];
    const WideVector input =
        models::encode_image(small_network().encoding, datasets::read_image(pictures[i]));
    CHECK(answer.at("logits") ==
          nlohmann::json::parse(cli::exact_integers(models::evaluate(small_network(), input)).dump()));
    retries += answer.at("retries").get<std::uint64_t>();
  }
  CHECK(retries >= 1);
}

}  // namespace popcorn::test
