// popcorn compare and inspect --engine shares, on the real executable.
#include <catch2/catch.hpp>

#include "models/file/popcorn_file.h"
#include "tests/cli/command_line.h"
#include "tests/cli/random_test_set.h"
#include "tests/cli/small_network.h"

namespace popcorn::test {

namespace {

/// The small network with one weight of its last layer changed.
std::string write_changed_network(const std::string& path) {
  models::IntegerNetwork network = small_network();
  for (models::Node& node : network.nodes) {
    if (node.kind == models::NodeKind::dense) node.weights.front() += 5;
  }
  models::write_network(network, path);
  return path;
}

}  // namespace

TEST_CASE("A network compared with itself parts nowhere", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  write_random_test_set(folder, 12);
  const nlohmann::json report =
      json_of(popcorn({"compare", model, model, "--data", folder.path(""), "--json"}));
  CHECK(report.at("images") == 12);
  CHECK(report.at("same_answer") == 12);
  CHECK(report.at("parts_at").is_null());
  CHECK(report.at("different").empty());
  CHECK(report.at("layers").size() >= 4);
  for (const auto& layer : report.at("layers")) CHECK(layer.at("signal_to_noise_db").is_null());
}

TEST_CASE("The layer where two networks part is named", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  const std::string other = write_changed_network(folder.path("other.popcorn"));
  write_random_test_set(folder, 12);
  const ProcessResult text = popcorn({"compare", model, other, "--data", folder.path(""), "--limit", "5"});
  CHECK(text.exit_code == 0);
  const nlohmann::json report =
      json_of(popcorn({"compare", model, other, "--data", folder.path(""), "--limit", "5", "--json"}));
  CHECK(report.at("images") == 5);
  const std::string parting = report.at("parts_at");
  for (const auto& layer : report.at("layers")) {
    const bool behind = layer.at("name") == parting || layer.at("name") == "logits";
    CHECK(layer.at("signal_to_noise_db").is_null() == !behind);
  }
  CHECK_THAT(text.out, Catch::Contains("Most is lost at " + parting) && Catch::Contains("of 5 test inputs"));
}

TEST_CASE("Networks that are no forms of one are not compared", "[command_line]") {
  const TemporaryFolder folder;
  write_random_test_set(folder, 2);
  const ProcessResult result = popcorn({"compare", "mnist-mlp", "cifar10-conv7", "--data", folder.path("")});
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, Catch::Contains("compare.shape"));
  const ProcessResult alone = popcorn({"compare", "mnist-mlp"}, {"POPCORN_DATA="});
  CHECK(alone.exit_code == 2);
}

TEST_CASE("A shipped network is compared with its requantised form", "[command_line]") {
  const TemporaryFolder folder;
  write_random_test_set(folder, 10);
  const nlohmann::json report =
      json_of(popcorn({"compare", "mnist-conv2", "--data", folder.path(""), "--json"}));
  CHECK(report.at("first") == "mnist-conv2");
  CHECK(report.at("first_config_id") != report.at("second_config_id"));
  const auto& layers = report.at("layers");
  REQUIRE(layers.size() > 5);
  std::size_t rescales = 0;
  for (const auto& layer : layers) rescales += layer.at("second_kind") == "rescale" ? 1 : 0;
  CHECK(rescales == 3);
}

TEST_CASE("The cost on shares adds up and is for requantised networks", "[command_line]") {
  const nlohmann::json report = json_of(
      popcorn({"inspect", "mnist-conv2", "--cost", "--engine", "shares", "--bits", "2048", "--json"}));
  CHECK(report.at("engine") == "shares");
  for (const char* field : {"multiplications", "ciphertexts_up", "ciphertexts_down", "transfers",
                            "ciphertext_bytes", "step_bytes", "bytes", "flights"}) {
    std::uint64_t sum = 0;
    for (const auto& layer : report.at("cost_layers")) sum += layer.at(field).get<std::uint64_t>();
    INFO(field);
    CHECK(sum == report.at(field));
  }
  const nlohmann::json fast = json_of(popcorn({"inspect", "mnist-conv2", "--cost", "--engine", "shares",
                                               "--rounding", "fast", "--bits", "2048", "--json"}));
  CHECK(fast.at("step_bytes") < report.at("step_bytes"));
  CHECK(fast.at("ciphertexts_up") == report.at("ciphertexts_up"));
  const TemporaryFolder folder;
  const std::string exact = write_small_network(folder.path("small.popcorn"));
  const ProcessResult refused = popcorn({"inspect", exact, "--cost", "--engine", "shares"});
  CHECK(refused.exit_code == 2);
  CHECK_THAT(refused.err, Catch::Contains("inspect.engine"));
  CHECK(popcorn({"inspect", "mnist-conv2", "--engine", "cloud"}).exit_code == 2);
}

}  // namespace popcorn::test
