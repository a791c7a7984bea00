#include <catch2/catch.hpp>
#include <sstream>

#include "base/file.h"
#include "cli/terminal/output.h"
#include "models/datasets/test_set.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/cli/command_line.h"
#include "tests/cli/random_test_set.h"
#include "tests/cli/small_network.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

namespace {

/// Correct answers of the exact evaluator, counted here.
std::size_t correct_answers(const models::IntegerNetwork& network, const datasets::TestSet& data) {
  std::size_t correct = 0;
  for (std::size_t i = 0; i < data.count(); ++i) {
    const WideVector input = models::encode_image(network.encoding, data.image(i));
    if (models::arg_max(models::evaluate(network, input)) == data.labels[i]) ++correct;
  }
  return correct;
}

}  // namespace

TEST_CASE("The accuracy is that of the exact evaluator, in both arithmetics", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  write_random_test_set(folder, 157);
  const std::string data = folder.path("");
  for (const std::size_t limit : {0, 1, 50, 51, 1000}) {
    const std::size_t images = limit == 0 ? 157 : std::min<std::size_t>(limit, 157);
    const std::size_t expected =
        correct_answers(small_network(), datasets::open_test_set({data, "mnist", limit}, small_network()));
    for (const bool exact : {false, true}) {
      std::vector<std::string> arguments = {
          "evaluate", model, "--data", data, "--limit", std::to_string(limit), "--json"};
      if (exact) arguments.emplace_back("--exact");
      const nlohmann::json report = json_of(popcorn(arguments));
      CHECK(report.at("model") == "small");
      CHECK(report.at("images") == images);
      CHECK(report.at("correct") == expected);
      CHECK(report.at("accuracy").get<double>() ==
            Approx(static_cast<double>(expected) / static_cast<double>(images)));
    }
  }
}

TEST_CASE("The folder of the test set may come from the environment", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  write_random_test_set(folder, 3);
  const ProcessResult result = run_process(command({"evaluate", model}), {"POPCORN_DATA=" + folder.path("")});
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.out, Catch::Contains("small") && Catch::Contains("of 3 test images"));
}

TEST_CASE("The accuracy on a folder of pictures leaves out those of the training", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  SeededRng rng(7);
  std::filesystem::create_directory(folder.path("pictures"));
  for (int i = 0; i < 12; ++i) {
    std::string picture = "P5 10 12 255\n";
    for (int k = 0; k < 120; ++k) picture += static_cast<char>(rng.below(256));
    write_file(folder.path("pictures/" + std::to_string(i % 10) + "_" + std::to_string(i) + ".pgm"),
               as_bytes(picture));
  }
  for (const std::size_t training : {0, 5}) {
    datasets::TestSetChoice choice{folder.path("pictures"), "folder"};
    std::vector<std::string> arguments = {
        "evaluate", model,    "--data",    folder.path("pictures"), "--dataset",
        "folder",   "--json", "--outputs", folder.path("outputs")};
    if (training > 0) {
      choice.training_images = training;
      arguments.insert(arguments.end(), {"--training-images", std::to_string(training)});
    }
    const datasets::TestSet data = datasets::open_test_set(choice, small_network());
    const nlohmann::json report = json_of(popcorn(arguments));
    CHECK(report.at("images") == 12 - training);
    CHECK(report.at("correct") == correct_answers(small_network(), data));
    CHECK(report.at("data") == "pictures");
    std::istringstream lines(read_text_file(folder.path("outputs")));
    std::string line;
    for (std::size_t i = 0; i < data.count(); ++i) {
      REQUIRE(std::getline(lines, line));
      const WideVector outputs = models::evaluate(small_network(), data.input(small_network().encoding, i));
      const nlohmann::json expected = {
          {"input", data.files.at(i)}, {"label", data.labels[i]}, {"outputs", cli::exact_integers(outputs)}};
      CHECK(nlohmann::json::parse(line) == expected);
    }
    CHECK_FALSE(std::getline(lines, line));
  }
}

TEST_CASE("inspect tells layers, density, bits and, when asked, the cost", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  const models::IntegerNetwork network = small_network();
  const nlohmann::json plain = json_of(popcorn({"inspect", model, "--json"}));
  CHECK(plain.at("weights") == network.weights());
  CHECK(plain.at("nonzeros") == network.nonzeros());
  CHECK(plain.at("density").get<double>() ==
        Approx(static_cast<double>(network.nonzeros()) / static_cast<double>(network.weights())));
  CHECK(plain.at("weight_bits") == 3);
  CHECK(plain.at("layers").size() == network.nodes.size());
  CHECK_FALSE(plain.contains("multiplications"));
  const nlohmann::json cost = json_of(popcorn({"inspect", model, "--cost", "--bits", "2048", "--json"}));
  for (const char* field : {"multiplications", "naive_multiplications", "bytes_up", "bytes_down", "rounds"}) {
    INFO(field);
    CHECK(cost.at(field).get<std::uint64_t>() > 0);
  }
  CHECK(cost.at("key_bits") == 2048);
  const ProcessResult text = popcorn({"inspect", model, "--cost"});
  CHECK(text.exit_code == 0);
  CHECK_THAT(text.out,
             Catch::Contains("conv1") && Catch::Contains("2x8x8") && Catch::Contains("multiplications"));
}

TEST_CASE("verify finds every tensor equal and says how many", "[command_line]") {
  const TemporaryFolder folder;
  const std::string model = write_small_network(folder.path("small.popcorn"));
  const nlohmann::json report = json_of(popcorn(with_test_key({"verify", model, "--images", "2", "--json"})));
  CHECK(report.at("equal") == true);
  CHECK(report.at("images") == 2);
  CHECK(report.at("values").get<std::uint64_t>() >= 2 * (128 + 32 + 32 + 10));
  const ProcessResult text = popcorn(with_test_key({"verify", model}));
  CHECK(text.exit_code == 0);
  CHECK_THAT(text.out, Catch::Contains("bit for bit"));
}

TEST_CASE("verify takes the engine that a network is for", "[command_line]") {
  const nlohmann::json report =
      json_of(popcorn(with_test_key({"verify", "models/requantised/mnist-mlp.popcorn", "--json"})));
  CHECK(report.at("engine") == "shares");
  CHECK(report.at("equal") == true);
}

}  // namespace popcorn::test
