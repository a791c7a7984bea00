// The commands train and compress as the popcorn executable calls them: through the module's one symbol.
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "base/file.h"
#include "models/file/popcorn_file.h"
#include "tests/compress/module_runner.h"
#include "tests/support/process.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using test::run_compress_module;

namespace {

namespace fs = std::filesystem;

/// A folder with a tiny data set in MNIST's form: the class is the row band that is bright.
class Workplace {
 public:
  Workplace() : path_(fs::temp_directory_path() / ("popcorn-module-" + std::to_string(::getpid()))) {
    fs::create_directories(path_);
    write_set("train", 400, 1);
    write_set("t10k", 200, 2);
  }
  ~Workplace() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string data() const { return path_.string(); }
  /// A folder of pictures of the same kind, their classes in their names.
  std::string pictures(int count) const {
    test::SeededRng rng(3);
    fs::create_directories(path_ / "pictures");
    for (int i = 0; i < count; ++i) {
      const auto label = static_cast<std::size_t>(i % 7);
      std::string file = "P5 28 28 255\n";
      for (std::size_t p = 0; p < 784; ++p)
        file += static_cast<char>(rng.below(60) + (p / 28 / 4 == label ? 180 : 0));
      const std::string name = std::to_string(label) + "_" + std::to_string(i) + ".pgm";
      write_file(path_ / "pictures" / name, as_bytes(file));
    }
    return (path_ / "pictures").string();
  }

 private:
  static void big_endian(Bytes& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
  }

  void write_set(const std::string& prefix, std::uint32_t count, std::uint64_t seed) const {
    test::SeededRng rng(seed);
    Bytes images, labels;
    for (const std::uint32_t v : {std::uint32_t{0x803}, count, std::uint32_t{28}, std::uint32_t{28}})
      big_endian(images, v);
    for (const std::uint32_t v : {std::uint32_t{0x801}, count}) big_endian(labels, v);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto label = static_cast<std::uint8_t>(rng.below(7));
      labels.push_back(label);
      for (std::size_t p = 0; p < 784; ++p) {
        images.push_back(static_cast<std::uint8_t>(rng.below(60) + (p / 28 / 4 == label ? 180 : 0)));
      }
    }
    write_file(path_ / (prefix + "-images-idx3-ubyte"), images);
    write_file(path_ / (prefix + "-labels-idx1-ubyte"), labels);
  }

  fs::path path_;
};

}  // namespace

TEST_CASE("train and compress work through the module and end with the documented codes") {
  const Workplace place;
  const std::string onnx = place / "net.onnx", model = place / "net.popcorn";

  const test::ModuleOutcome trained =
      run_compress_module({"train", "mnist-mlp", "--data", place.data(), "-o", onnx, "--epochs", "8",
                           "--batch", "20", "--no-augmentation", "--json"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(nlohmann::json::parse(trained.out)["accuracy"] > 0.9);

  const std::vector<std::string> compress = {
      "compress", onnx, "-o",      model, "--data",   place.data(), "--sparsity",       "0.8",
      "--bits",   "4",  "--batch", "20",  "--epochs", "4",          "--no-augmentation"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), compress.begin(), compress.end());
    return run_compress_module(more);
  };

  SECTION("a model within the guard is written and reported") {
    const std::string exported = place / "integer.onnx";
    const test::ModuleOutcome done =
        with({"--max-drop", "50", "--json", "--export-onnx", exported, "--html", place / "report.html"});
    INFO(done.err);
    REQUIRE(done.code == 0);
    const auto report = nlohmann::json::parse(done.out);
    CHECK(report["density"] <= 0.2001);
    CHECK(report["weight_bits"] <= 4);
    const models::IntegerNetwork network = models::read_network(model);
    CHECK(network.name == "mnist-mlp");
    CHECK(network.nonzeros() == report["nonzeros"]);
    CHECK(network.labels.size() == 10);

    CHECK(report["points"].size() > 2 + 4);  // each of the epochs, and the ends
    CHECK(report["points"].back()["accuracy"] == report["accuracy"]["integer"]);
    const test::ProcessResult inspected =
        test::run_process({POPCORN_EXECUTABLE, "inspect", model, "--cost", "--json"});
    REQUIRE(inspected.exit_code == 0);
    const auto cost = nlohmann::json::parse(inspected.out);
    for (const char* key : {"multiplications", "ciphertexts_up", "ciphertexts_down", "bytes_up", "bytes_down",
                            "key_bits", "sign_test"}) {
      INFO(key);
      CHECK(report[key] == cost[key]);
    }
    const std::string html = read_text_file(place / "report.html");
    CHECK(html.find("<h1>mnist-mlp</h1>") != std::string::npos);
    CHECK(html.find("data-value=\"" + report["multiplications"].dump() + "\"") != std::string::npos);

    const Bytes first = read_file(exported);
    const test::ModuleOutcome again = run_compress_module({"export", model, "-o", exported, "--json"});
    INFO(again.err);
    REQUIRE(again.code == 0);
    CHECK(read_file(exported) == first);
    const auto summary = nlohmann::json::parse(again.out);
    CHECK(summary["config_id"] == network.config_id());
    CHECK(summary["exact"] == summary["inexact_nodes"].empty());
    CHECK(run_compress_module({"export", model, "-o", exported, "--type", "float"})
              .out.find("single precision") != std::string::npos);
  }
  SECTION("without fine-tuning, from sample pictures") {
    const test::ModuleOutcome done =
        with({"--post-training", "--calibration-images", "100", "--max-drop", "5", "--json"});
    INFO(done.err);
    REQUIRE(done.code == 0);
    CHECK(nlohmann::json::parse(done.out)["density"] <= 0.2001);
    CHECK(with({"--post-training", "--calibration-images", "0"}).code == 2);
    const test::ModuleOutcome tuned = with({"--post-training", "--quantise-epochs", "1", "--grid", "codebook",
                                            "--bits", "3", "--layer-grid", "fc3=ternary", "--json"});
    INFO(tuned.err);
    REQUIRE(tuned.code == 0);
    const auto clustered = nlohmann::json::parse(tuned.out);
    for (const auto& layer : clustered["layers"]) {
      if (layer.contains("magnitudes")) CHECK(layer["magnitudes"] <= (layer["name"] == "fc3" ? 1 : 4));
    }
  }
  SECTION("from a folder of pictures, measured on those that it did not look at") {
    const std::string pictures = place.pictures(60);
    const std::vector<std::string> folder = {"--data", pictures,          "--dataset",
                                             "folder", "--post-training", "--json"};
    const auto with_folder = [&](std::vector<std::string> more) {
      more.insert(more.begin(), folder.begin(), folder.end());
      return with(more);
    };
    const test::ModuleOutcome done = with_folder({"--calibration-images", "25"});
    INFO(done.err);
    REQUIRE(done.code == 0);
    const auto report = nlohmann::json::parse(done.out);
    CHECK(report["accuracy"]["images"] == 35);
    CHECK(report["accuracy"]["float"] > 0.9);
    const auto facts = models::read_network(model).facts;
    CHECK(facts.at(0) == std::pair<std::string, std::string>{"dataset", "pictures"});
    CHECK(facts.at(1) == std::pair<std::string, std::string>{"training_images", "25"});
    const test::ModuleOutcome fewer = with_folder({"--training-images", "40", "--test-images", "7"});
    CHECK(nlohmann::json::parse(fewer.out)["accuracy"]["images"] == 7);
    CHECK(with_folder({"--training-images", "60"}).code == 2);
    fs::copy(pictures + "/0_0.pgm", pictures + "/10_0.pgm");
    const test::ModuleOutcome refused = with_folder({"--calibration-images", "25"});
    CHECK(refused.code == 3);
    CHECK(refused.err.find("10_0.pgm") != std::string::npos);
  }
  SECTION("a budget of multiplications decides the sparsity") {
    const test::ModuleOutcome free = with({"--filters", "0.25", "--epochs", "1", "--json"});
    INFO(free.err);
    REQUIRE(free.code == 0);
    std::uint64_t rest = 0;  // what no pruning saves
    const auto unpruned = nlohmann::json::parse(free.out);
    for (const auto& layer : unpruned["layers"])
      rest += layer.contains("weights") ? 0 : layer["multiplications"].get<std::uint64_t>();
    const std::uint64_t target = rest + 20000;
    const test::ModuleOutcome done =
        with({"--target-cost", std::to_string(target), "--filters", "0.25", "--epochs", "1", "--json"});
    INFO(done.err);
    REQUIRE(done.code == 0);
    const auto report = nlohmann::json::parse(done.out);
    CHECK(report["multiplications"] <= target);
    CHECK(report["multiplications"] > rest + 8000);
    CHECK(report["layers"][1]["shape"] == "96");
    const test::ModuleOutcome refused = with({"--target-cost", "7"});
    CHECK(refused.code == 2);
    CHECK(refused.err.find("cost.target") != std::string::npos);
  }
  SECTION("beyond the guard nothing is written") {
    const test::ModuleOutcome refused = with({"--epochs", "0", "--sparsity", "0.99", "--max-drop", "0.5"});
    CHECK(refused.code == 8);
    CHECK(refused.err.find("compress.accuracy") != std::string::npos);
    CHECK_FALSE(fs::exists(model));
  }
  SECTION("a configuration file gives options, flags win") {
    write_file(place / "c.json",
               as_bytes(R"({"compress": {"bits": 2, "sparsity": 0.5, "layer-bits": {"fc3": 5}}})"));
    const test::ModuleOutcome done =
        run_compress_module({"compress", "--config", place / "c.json", onnx, "-o", model, "--data",
                             place.data(), "--epochs", "1", "--sparsity", "0.25", "--json"});
    INFO(done.err);
    REQUIRE(done.code == 0);
    const auto report = nlohmann::json::parse(done.out);
    CHECK(report["weight_bits"] == 5);
    CHECK(report["density"] > 0.3);
    for (const char* text : {"[]", "{", R"({"serve": {}})", R"({"compress": []})",
                             R"({"compress": {"bits": [1]}})", R"({"compress": {"config": "x"}})"}) {
      write_file(place / "c.json", as_bytes(text));
      CHECK(with({"--config", place / "c.json"}).code == 3);
    }
    for (const auto& [text, member] :
         {std::pair{R"({"compress": {"no-such-option": 1}})", "no-such-option"},
          std::pair{R"({"compress": {"bits": 9}})", "\"compress.bits\""},
          std::pair{R"({"compress": {"layer-bits": {"fc3": "x"}}})", "\"compress.layer-bits.fc3\""}}) {
      write_file(place / "c.json", as_bytes(text));
      const test::ModuleOutcome refused = with({"--config", place / "c.json"});
      CHECK(refused.code == 3);
      INFO(refused.err);
      CHECK(refused.err.find(member) != std::string::npos);
      CHECK(refused.err.find("[config.schema]") != std::string::npos);
    }
  }
  SECTION("a trained network teaches another") {
    const std::string student = place / "student.onnx";
    const std::vector<std::string> train = {
        "train", "mnist-conv1", "--data", place.data(), "-o",
        student, "--epochs",    "1",      "--json",     "--no-augmentation"};
    const auto taught = [&](std::vector<std::string> more) {
      more.insert(more.begin(), train.begin(), train.end());
      return run_compress_module(more);
    };
    const test::ModuleOutcome alone = taught({});
    REQUIRE(alone.code == 0);
    const Bytes untaught = read_file(student);
    REQUIRE(taught({"--teacher", onnx, "--distillation", "0.9", "--temperature", "2"}).code == 0);
    CHECK(read_file(student) != untaught);
    CHECK(taught({"--distillation", "0.9"}).code == 2);
    CHECK(taught({"--teacher", onnx}).code == 2);
    CHECK(taught({"--teacher", place / "absent.onnx", "--distillation", "0.9"}).code == 4);
    const test::ModuleOutcome misfit =
        run_compress_module({"train", "cifar10-conv7", "--data", place.data(), "-o", student, "--teacher",
                             onnx, "--distillation", "0.5"});
    CHECK(misfit.code == 3);
    CHECK(misfit.err.find("maps 1x28x28 to 10") != std::string::npos);
  }
  SECTION("activations are rounded, after pruning alone and in fine-tuning") {
    for (const std::vector<std::string>& how :
         {std::vector<std::string>{"--post-training", "--calibration-images", "100"}, {"--epochs", "1"}}) {
      std::vector<std::string> options = {
          "--activation-bits", "6",      "--layer-activation-bits", "relu2=7", "--bits", "5",
          "--class-scales",    "--html", place / "r.html",          "--json"};
      options.insert(options.end(), how.begin(), how.end());
      const test::ModuleOutcome done = with(options);
      INFO(done.err);
      REQUIRE(done.code == 0);
      const auto report = nlohmann::json::parse(done.out);
      CHECK(report["shares"]["bytes"] > report["shares"]["fast_bytes"]);
      CHECK(report["beyond_range"] == 0);
      CHECK(report["same_answers"] > 0.5);
      std::uint64_t bytes = 0;
      for (const auto& layer : report["layers"]) bytes += layer["shares"]["bytes"].get<std::uint64_t>();
      CHECK(report["shares"]["bytes"] == bytes);
      const models::IntegerNetwork network = models::read_network(model);
      CHECK(network.is_requantised());
      CHECK(network.output().scale.size() == 10);
      for (const models::Node& node : network.nodes) CHECK(node.weight_bits() <= 5);
      const Bytes html = read_file(place / "r.html");
      CHECK(std::string(html.begin(), html.end()).find("data-key=\"ring_bits\"") != std::string::npos);
    }
    const test::ModuleOutcome exported = run_compress_module({"export", model, "-o", place / "x.onnx"});
    CHECK(exported.code == 0);
    CHECK(with({"--activation-bits", "8", "--layer-activation-bits", "nowhere=7"}).code == 2);
    CHECK(with({"--activation-bits", "8", "--layer-activation-bits", "relu2"}).code == 2);
    CHECK(with({"--activation-bits", "17"}).code == 2);
  }
  SECTION("bad arguments") {
    CHECK(run_compress_module({}).code == 2);
    CHECK(run_compress_module({"compress"}).code == 2);
    CHECK(run_compress_module({"compress", "--help"}).code == 0);
    CHECK(run_compress_module({"train", "--help"}).code == 0);
    CHECK(run_compress_module({"export", "--help"}).code == 0);
    CHECK(run_compress_module({"export", model}).code == 2);
    CHECK(run_compress_module({"export", model, "-o", onnx, "--type", "int8"}).code == 2);
    CHECK(run_compress_module({"train", "no-such-network", "-o", onnx, "--data", place.data()}).code == 2);
    CHECK(with({"--bits", "9"}).code == 2);
    CHECK(with({"--sparsity", "1.5"}).code == 2);
    CHECK(with({"--layer-sparsity", "fc1"}).code == 2);
    CHECK(with({"--layer-sparsity", "nowhere=0.5"}).code == 2);
    CHECK(with({"--dataset", "imagenet"}).code == 2);
    CHECK(with({"--input-shape", "28x28"}).code == 2);
    CHECK(with({"--grid", "decimal"}).code == 2);
    CHECK(with({"--layer-grid", "fc1=decimal"}).code == 2);
  }
  SECTION("bad files") {
    CHECK(
        run_compress_module({"compress", place / "absent.onnx", "-o", model, "--data", place.data()}).code ==
        4);
    CHECK(run_compress_module({"compress", onnx, "-o", model, "--data", place / "absent"}).code == 4);
    CHECK(with({"-o", place / "absent/x.popcorn", "--epochs", "0"}).code == 4);
    write_file(place / "bad.onnx", as_bytes("this is not a network"));
    CHECK(run_compress_module({"export", place / "bad.onnx", "-o", onnx}).code == 3);
    const test::ModuleOutcome damaged =
        run_compress_module({"compress", place / "bad.onnx", "-o", model, "--data", place.data()});
    CHECK(damaged.code == 3);
    CHECK(damaged.err.find("bad.onnx") != std::string::npos);
    write_file(place / "t10k-images-idx3-ubyte", as_bytes("short"));
    CHECK(with({}).code == 3);
  }
  CHECK(run_compress_module({"train", "mnist-mlp", "--data", place / "absent", "-o", onnx}).code == 4);
}

TEST_CASE("a compression ended by Ctrl-C or killed goes on to the same file") {
  const Workplace place;
  const std::string onnx = place / "net.onnx", whole = place / "whole.popcorn", model = place / "net.popcorn",
                    checkpoint = place / "state";
  REQUIRE(
      run_compress_module({"train", "mnist-mlp", "--data", place.data(), "-o", onnx, "--epochs", "1"}).code ==
      0);
  const auto arguments = [&](const std::string& output) {
    return std::vector<std::string>{"compress",          onnx,         "-o",  output,     "--data",
                                    place.data(),        "--batch",    "40",  "--epochs", "6",
                                    "--no-augmentation", "--sparsity", "0.8", "-v"};
  };
  REQUIRE(run_compress_module(arguments(whole)).code == 0);
  std::vector<std::string> resumable = arguments(model);
  resumable.insert(resumable.begin(), POPCORN_EXECUTABLE);
  resumable.insert(resumable.end(), {"--resume", checkpoint});
  const auto interrupt = [&](const char* after, int signal) {
    test::Process process(resumable);
    process.wait_for_error_text(after, test::Process::Seconds{300});
    process.send_signal(signal);
    return process.wait();
  };
  const test::ProcessResult stopped = interrupt("prune  epoch 1/", SIGINT);
  CHECK(stopped.exit_code == 130);
  CHECK(stopped.err.find("the same command goes on") != std::string::npos);
  CHECK_FALSE(fs::exists(model));
  CHECK(interrupt("  epoch ", SIGKILL).exit_code == 128 + SIGKILL);
  CHECK(interrupt("quantise  epoch ", SIGTERM).exit_code == 130);
  const test::ProcessResult done = test::run_process(resumable);
  CHECK(done.exit_code == 0);
  CHECK(done.err.find("going on from " + checkpoint) != std::string::npos);
  CHECK(done.err.find("prune  epoch") == std::string::npos);
  CHECK(read_file(model) == read_file(whole));
  for (const char* suffix : {"", ".prune", ".quantise"}) CHECK_FALSE(fs::exists(checkpoint + suffix));

  std::vector<std::string> forgetful = arguments(model);
  forgetful.insert(forgetful.begin(), POPCORN_EXECUTABLE);
  test::Process process(forgetful);
  process.wait_for_error_text("prune  epoch 1/", test::Process::Seconds{300});
  process.send_signal(SIGINT);
  CHECK(process.wait().err.find("--resume FILE") != std::string::npos);
}

TEST_CASE("The schema of recipes knows every option, and every recipe fits it") {
  const std::filesystem::path folder = std::filesystem::path("compress");
  const auto schema = nlohmann::json::parse(read_text_file(folder / "recipe.schema.json"));
  for (const std::string command : {"train", "compress"}) {
    const std::string help = run_compress_module({command, "--help"}).out;
    const std::regex option(R"(\n +(?:-\w,)?--([a-z-]+))");
    std::size_t count = 0;
    for (std::sregex_iterator at(help.begin(), help.end(), option), end; at != end; ++at, ++count) {
      const std::string name = (*at)[1];
      if (name == "help" || name == "config") continue;
      INFO(command << " --" << name);
      CHECK(schema.at("properties").at(command).at("properties").contains(name));
    }
    CHECK(count > 20);
  }
  std::size_t recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "recipes")) {
    const test::ModuleOutcome outcome =
        run_compress_module({"train", "no-such-network", "--config", entry.path().string(), "-o", "x.onnx"});
    INFO(entry.path() << ": " << outcome.err);
    CHECK(outcome.err.find("config.") == std::string::npos);
    ++recipes;
  }
  CHECK(recipes >= 11);
}
