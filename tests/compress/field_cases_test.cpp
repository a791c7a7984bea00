// Networks as people bring them (tests/data/field_cases): converted by the command, they answer what was
// computed independently.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "models/datasets/image_reading.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "tests/compress/module_runner.h"
#include "tests/support/process.h"

using namespace popcorn;

namespace {

namespace fs = std::filesystem;

constexpr const char* kCases = "tests/data/field_cases";

/// The command of a case with its files' real places.
std::vector<std::string> command_of(const nlohmann::json& expected, const std::string& folder,
                                    const std::string& output) {
  std::istringstream words(expected["command"].get<std::string>());
  std::vector<std::string> arguments;
  for (std::string word; words >> word;) arguments.push_back(word);
  REQUIRE(arguments.front() == "popcorn");
  arguments.erase(arguments.begin());
  const bool rgb = fs::path(folder).filename() == "dynamic_hw";
  for (std::string& argument : arguments) {
    if (argument == "net.onnx") argument = folder + "/net.onnx";
    if (argument == "pictures") argument = std::string(kCases) + (rgb ? "/pictures_rgb" : "/pictures_gray");
    if (argument == "o.popcorn") argument = output + "/o.popcorn";
    if (argument == "o.onnx") argument = output + "/o.onnx";
  }
  return arguments;
}

std::vector<double> logits_of(const models::IntegerNetwork& network, const std::string& picture) {
  const WideVector integers =
      models::evaluate(network, models::encode_image(network.encoding, datasets::read_image(picture)));
  std::vector<double> logits(integers.size());
  const std::vector<double>& scale = network.output().scale;
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] = integers.to_double(i) * scale[scale.size() == 1 ? 0 : i];
  return logits;
}

double deviation(const std::vector<double>& values) {
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  const double mean = sum / static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

}  // namespace

TEST_CASE("networks of the field answer what they must") {
  std::size_t cases = 0;
  for (const auto& entry : fs::directory_iterator(kCases)) {
    const std::string folder = entry.path().string();
    if (!fs::exists(folder + "/expected.json")) continue;
    ++cases;
    const std::string name = entry.path().filename().string();
    INFO(name);
    const test::TemporaryFolder place;
    fs::create_directories(place.path("x"));
    const auto expected = nlohmann::json::parse(read_text_file(folder + "/expected.json"));
    const test::ModuleOutcome outcome =
        test::run_compress_module(command_of(expected, folder, place.path("x")));
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const models::IntegerNetwork network = models::read_network(place.path("x") + "/o.popcorn");
    const std::string pictures =
        std::string(kCases) + (name == "dynamic_hw" ? "/pictures_rgb/" : "/pictures_gray/");
    std::vector<double> wanted, got;
    for (const auto& [picture, values] : expected["expected_output"].items()) {
      const std::vector<double> right = values;
      std::vector<double> logits = logits_of(network, pictures + picture);
      if (right.size() == 1 && logits.size() == 2) {  // one output is two classes whose difference it is
        logits = {logits[1] - logits[0]};
        if (name == "end_sigmoid") logits = {1 / (1 + std::exp(-logits[0]))};
      } else if (name == "softmax_then_reshape") {
        CHECK(network.softmax);
        double total = 0;
        for (const double l : logits) total += std::exp(l);
        for (double& l : logits) l = std::exp(l) / total;
      }
      REQUIRE(logits.size() == right.size());
      wanted.insert(wanted.end(), right.begin(), right.end());
      got.insert(got.end(), logits.begin(), logits.end());
    }
    // The unit is how much the answers vary over all pictures.
    std::vector<double> all;
    for (const auto& picture : fs::directory_iterator(pictures)) {
      std::vector<double> logits = logits_of(network, picture.path().string());
      if (wanted.size() == 2) logits = {1 / (1 + std::exp(logits[0] - logits[1]))};
      all.insert(all.end(), logits.begin(), logits.end());
    }
    double largest = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) largest = std::max(largest, std::abs(wanted[i] - got[i]));
    const double error = largest / deviation(all);
    std::printf("%-24s error %.4f standard deviations\n", name.c_str(), error);
    CHECK(error < 0.1);
  }
  CHECK(cases == 26);
}

TEST_CASE("a function whose channels are out of balance loses nothing by it") {
  const test::TemporaryFolder place;
  fs::create_directories(place.path("x"));
  const std::string pictures = std::string(kCases) + "/pictures_gray";
  std::vector<std::vector<double>> answers;
  for (const char* const name : {"s1", "s100", "s1000"}) {
    const std::string output = place.path("x") + "/" + name + ".popcorn";
    const test::ModuleOutcome outcome =
        test::run_compress_module({"compress", std::string(kCases) + "/channel_imbalance/" + name + ".onnx",
                                   "-o", output, "--data", pictures, "--dataset", "folder", "--bits", "8",
                                   "--epochs", "0", "--sparsity", "0", "--training-images", "12"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const models::IntegerNetwork network = models::read_network(output);
    std::vector<double> logits;
    for (const auto& picture : fs::directory_iterator(pictures)) {
      const std::vector<double> row = logits_of(network, picture.path().string());
      logits.insert(logits.end(), row.begin(), row.end());
    }
    answers.push_back(std::move(logits));
  }
  for (std::size_t k = 1; k < answers.size(); ++k) {
    double largest = 0;
    for (std::size_t i = 0; i < answers[0].size(); ++i)
      largest = std::max(largest, std::abs(answers[0][i] - answers[k][i]));
    std::printf("channel_imbalance: differs from s1 by %.4f standard deviations\n",
                largest / deviation(answers[0]));
    CHECK(largest < 0.1 * deviation(answers[0]));
  }
}
