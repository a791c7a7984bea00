#include "compress/training/training.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/file.h"
#include "compress/compression.h"
#include "compress/executor.h"
#include "compress/onnx/onnx_export.h"
#include "compress/zoo_graph.h"
#include "models/file/popcorn_file.h"
#include "tests/compress/bars.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

using test::bars;
using test::few_epochs;

TEST_CASE("training learns, and the same seed gives the same network") {
  test::SeededRng rng(1);
  const Dataset training = bars(rng, 300), test_set = bars(rng, 200);
  const auto trained = [&](std::uint64_t seed) {
    FloatGraph graph = build_zoo_graph(test::bars_network(), seed);
    TrainingOptions options = few_epochs(6);
    options.seed = seed;
    options.augmentation.shift = 0.5;
    train(graph, training, options, {});
    return graph;
  };
  const FloatGraph graph = trained(5);
  CHECK(accuracy(build_zoo_graph(test::bars_network(), 5), test_set) < 0.8);
  CHECK(accuracy(graph, test_set) > 0.95);
  CHECK(serialise_onnx(trained(5)) == serialise_onnx(graph));
  CHECK(serialise_onnx(trained(6)) != serialise_onnx(graph));
}

TEST_CASE("training with orthogonal steps learns") {
  test::SeededRng rng(8);
  const Dataset training = bars(rng, 300), test_set = bars(rng, 200);
  FloatGraph graph = build_zoo_graph(test::bars_network(), 5);
  TrainingOptions options = few_epochs(6);
  options.optimizer = OptimizerKind::muon;
  train(graph, training, options, {});
  CHECK(accuracy(graph, test_set) > 0.95);
}

TEST_CASE("a teacher's logits teach what the classes do not") {
  test::SeededRng rng(9);
  Dataset training = bars(rng, 300);
  const Dataset test_set = bars(rng, 200);
  std::vector<float> teacher;
  for (std::uint16_t& label : training.classes) {
    for (int k = 0; k < 3; ++k) teacher.push_back(k == label ? 9.0F : 0.0F);
    label = static_cast<std::uint16_t>(rng.between(0, 2));  // the classes themselves say nothing
  }
  TrainingHooks hooks;
  hooks.teacher_logits = &teacher;
  const auto accuracy_after = [&](double distillation) {
    FloatGraph graph = build_zoo_graph(test::bars_network(), 5);
    TrainingOptions options = few_epochs(6);
    options.distillation = distillation;
    train(graph, training, options, hooks);
    return accuracy(graph, test_set);
  };
  CHECK(accuracy_after(0) < 0.8);
  CHECK(accuracy_after(0.9) > 0.95);
}

TEST_CASE("compression reaches its density and keeps the accuracy; the guard refuses a drop") {
  test::SeededRng rng(2);
  const Dataset training = bars(rng, 300), test_set = bars(rng, 200);
  FloatGraph graph = build_zoo_graph(test::bars_network(), 3);
  train(graph, training, few_epochs(6), {});
  CompressionOptions options;
  options.pruning.sparsity = 0.7;
  options.quantisation.bits = 3;
  options.pruning_training = options.quantisation_training = few_epochs(4);
  options.pruning_training.distillation = 0.5;
  int epochs = 0;
  CompressionHooks hooks;
  hooks.report = [&](const EpochReport& report) {
    ++epochs;
    CHECK(report.test_accuracy >= 0);
    CHECK(report.epoch <= report.epochs);
  };
  const CompressionResult result = compress_network(graph, training, test_set, options, hooks);
  CHECK(epochs == 8);
  CHECK(result.float_accuracy == accuracy(graph, test_set));
  CHECK(result.integer_accuracy > 0.9);
  CHECK(static_cast<double>(result.network.nonzeros()) <=
        0.3 * static_cast<double>(result.network.weights()) + 1);
  for (const models::Node& node : result.network.nodes) CHECK(node.weight_bits() <= 3);
  const CompressionResult again = compress_network(graph, training, test_set, options);
  CHECK(models::serialise_network(again.network) == models::serialise_network(result.network));

  options.max_drop = 0.5;
  CHECK_NOTHROW(compress_network(graph, training, test_set, options));
  options.pruning_training.epochs = options.quantisation_training.epochs = 0;
  options.pruning.sparsity = 0.97;
  options.max_drop = 0.01;
  CHECK_THROWS_AS(compress_network(graph, training, test_set, options), CheckError);
}

TEST_CASE("an interrupted training goes on from its checkpoint to the same result") {
  test::SeededRng rng(6);
  const Dataset training = bars(rng, 100);
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("popcorn-checkpoint-" + std::to_string(::getpid()));
  std::filesystem::remove(file);
  const auto trained = [&](int epochs, int stop_after, const std::filesystem::path& checkpoint) {
    FloatGraph graph = build_zoo_graph(test::bars_network(), 2);
    TrainingOptions options = few_epochs(epochs);
    options.checkpoint = checkpoint;
    options.augmentation.shift = 0.5;
    std::atomic<bool> stop{false};
    TrainingHooks hooks;
    hooks.stop = &stop;
    hooks.report = [&](const EpochReport& report) { stop = report.epoch == stop_after; };
    try {
      train(graph, training, options, hooks);
    } catch (const Interrupted&) {
    }
    return serialise_onnx(graph);
  };
  const Bytes expected = trained(4, -1, {});
  trained(4, 2, file);
  REQUIRE(std::filesystem::exists(file));
  CHECK_THROWS_AS(trained(5, -1, file), InputError);  // another run
  CHECK(trained(4, -1, file) == expected);
  CHECK_FALSE(std::filesystem::exists(file));

  trained(4, 2, file);
  const Bytes good = read_file(file);
  for (int round = 0; round < 40; ++round) {
    Bytes bad(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(rng.below(good.size())));
    write_file(file, bad);
    CHECK_THROWS_AS(trained(4, -1, file), InputError);
  }
  std::filesystem::remove(file);
}

TEST_CASE("the zoo's networks have their sizes") {
  const auto relus = [](const char* name) {
    std::int64_t sum = 0;
    for (const FloatNode& node : build_zoo_graph(models::zoo_network(name), 1).nodes) {
      if (node.kind == FloatKind::relu) sum += node.shape.size();
    }
    return sum;
  };
  CHECK(relus("mnist-mlp") == 256);
  CHECK(relus("mnist-conv1") == 1080);
  CHECK(relus("cifar10-conv7") == 173056);
  CHECK(relus("cifar10-resnet20") == 188416);
  CHECK(build_zoo_graph(models::zoo_network("cifar10-resnet20"), 1).weights() == 270896);
  for (const models::ZooNetwork& network : models::zoo()) {
    CHECK(build_zoo_graph(network, 1).output().shape.size() == 10);
  }
}

TEST_CASE("a raised stop flag ends the training") {
  test::SeededRng rng(3);
  const Dataset training = bars(rng, 40);
  FloatGraph graph = build_zoo_graph(test::bars_network(), 1);
  const std::atomic<bool> stop{true};
  TrainingHooks hooks;
  hooks.stop = &stop;
  CHECK_THROWS_AS(train(graph, training, few_epochs(1), hooks), Interrupted);
}

TEST_CASE("data that do not fit the network are refused") {
  test::SeededRng rng(4);
  FloatGraph graph = build_zoo_graph(test::bars_network(), 1);
  Dataset wrong_label = bars(rng, 10);
  wrong_label.classes[3] = 3;
  CHECK_THROWS_AS(train(graph, wrong_label, few_epochs(1), {}), InputError);
  wrong_label.classes[3] = 256;  // more than a byte holds
  CHECK_THROWS_AS(train(graph, wrong_label, few_epochs(1), {}), InputError);
  Dataset wrong_shape = bars(rng, 10);
  wrong_shape.shape = {1, 9, 5};
  CHECK_THROWS_AS(train(graph, wrong_shape, few_epochs(1), {}), InputError);
}
