// Everything that service/deploy/compose.yaml starts, as real processes on loopback: nginx with the shipped
// configuration, two replicas, Redis for their sessions.
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "cli/terminal/output.h"
#include "models/datasets/image_reading.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/cli/small_network.h"
#include "tests/deploy/nginx.h"
#include "tests/support/certificates.h"
#include "tests/support/redis_server.h"

namespace popcorn::test {

namespace {

const std::string kToken = "alice-0123456789abcdef";
const std::vector<std::string> kPictures = {"models/samples/3_1.png", "models/samples/8_1.png",
                                            "models/samples/5_2.png", "models/samples/0_1.png"};

class Cluster {
 public:
  Cluster() : redis_({"--requirepass", "sesame"}) {
    write_file(file("password"), as_bytes("sesame\n"), 0600);
    write_file(file("store.key"), as_bytes(std::string(64, '7')), 0600);
    write_file(file("tokens"), as_bytes(kToken + "\n"), 0600);
    const std::string model = write_small_network(file("small.popcorn"));
    const std::vector<std::string> options = {"--tokens",
                                              file("tokens"),
                                              "--session-store",
                                              redis_.url(),
                                              "--store-key",
                                              file("store.key"),
                                              "--round-lease",
                                              "1",
                                              "--store-password-file",
                                              file("password")};
    for (auto& replica : replicas_) replica = std::make_unique<RunningServer>(model, options);
    nginx_ = std::make_unique<Nginx>(address_of(*replicas_[0]), address_of(*replicas_[1]));
    proxy_ = std::make_unique<Process>(nginx_->argv({"-g", "daemon off;"}));
    REQUIRE(popcorn(with_test_key({"keygen", "-o", file("key.json")})).exit_code == 0);
  }

  std::string file(const std::string& name) const { return folder_.path(name); }
  RunningServer& replica(std::size_t i) { return *replicas_[i]; }

  /// A client that asks for all pictures.
  std::unique_ptr<Process> client() const {
    std::vector<std::string> arguments = {"infer",
                                          "--server",
                                          nginx_->url(),
                                          "--ca",
                                          certificates().file("ca.pem"),
                                          "--model",
                                          "small",
                                          "--json",
                                          "--insecure-test-key",
                                          "--key",
                                          file("key.json")};
    arguments.insert(arguments.end(), kPictures.begin(), kPictures.end());
    return std::make_unique<Process>(command(arguments), std::vector<std::string>{"POPCORN_TOKEN=" + kToken});
  }

  /// Ends nginx and gives its log.
  std::string access_log() {
    proxy_->send_signal(SIGQUIT);
    CHECK(proxy_->wait().exit_code == 0);
    return nginx_->access_log();
  }

 private:
  TemporaryFolder folder_;
  RedisServer redis_;
  std::array<std::unique_ptr<RunningServer>, 2> replicas_;
  std::unique_ptr<Nginx> nginx_;
  std::unique_ptr<Process> proxy_;
};

void check_answers(const ProcessResult& result) {
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const nlohmann::json report = json_of(result);
  REQUIRE(report.at("results").size() == kPictures.size());
  for (std::size_t i = 0; i < kPictures.size(); ++i) {
    const nlohmann::json& answer = report.at("results")[i];
    const WideVector input =
        models::encode_image(small_network().encoding, datasets::read_image(kPictures[i]));
    CHECK(answer.at("logits") ==
          nlohmann::json::parse(cli::exact_integers(models::evaluate(small_network(), input)).dump()));
  }
}

}  // namespace

TEST_CASE("Inferences go to both replicas behind the shipped nginx", "[deploy][replicas]") {
  if (!installed("nginx")) return;
  Cluster cluster;
  check_answers(cluster.client()->wait());
  const std::string log = cluster.access_log();
  CHECK_THAT(log, Catch::Contains("\"replica\": \"" + address_of(cluster.replica(0)) + "\""));
  CHECK_THAT(log, Catch::Contains("\"replica\": \"" + address_of(cluster.replica(1)) + "\""));
  CHECK_THAT(log, !Catch::Contains("\"status\": 5") && !Catch::Contains(kToken));
}

TEST_CASE("A replica killed in mid-inference behind the shipped nginx loses nothing", "[deploy][replicas]") {
  if (!installed("nginx")) return;
  Cluster cluster;
  const auto client = cluster.client();
  // The set-up is kept after round 1 of the first picture: the client is in the middle then.
  while (!std::filesystem::exists(cluster.file("key.json.ot-state"))) ::usleep(1000);
  cluster.replica(0).process().send_signal(SIGKILL);
  check_answers(client->wait());
  CHECK_THAT(cluster.access_log(), Catch::Contains(address_of(cluster.replica(1))));
}

}  // namespace popcorn::test
