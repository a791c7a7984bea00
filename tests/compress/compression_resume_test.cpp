#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/file.h"
#include "compress/compression.h"
#include "compress/zoo_graph.h"
#include "models/file/popcorn_file.h"
#include "tests/compress/bars.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

namespace fs = std::filesystem;

class Resumable {
 public:
  Resumable() : graph_(build_zoo_graph(test::bars_network(), 3)) {
    test::SeededRng rng(2);
    training_ = test::bars(rng, 150);
    test_ = test::bars(rng, 60);
    train(graph_, training_, test::few_epochs(2), {});
    options.pruning.sparsity = 0.7;
    options.quantisation.bits = 3;
    options.pruning_training = options.quantisation_training = test::few_epochs(5);
    options.pruning_training.distillation = 0.5;
    options.pruning_training.augmentation.shift = 0.5;
    options.quantisation_training.seed = 2;
    // 8 steps an epoch and a rewrite every 50: masks change in the middle of epochs.
    file_ = fs::temp_directory_path() / ("popcorn-compression-" + std::to_string(::getpid()));
    remove_checkpoint(file_);
  }
  ~Resumable() { remove_checkpoint(file_); }

  /// @param stop_after epochs of both phases together; the run ends as by Ctrl-C at the next step
  CompressionResult run(const fs::path& checkpoint, int stop_after = 1000) {
    options.checkpoint = checkpoint;
    std::atomic<bool> stop{stop_after == 0};
    int epochs = 0;
    CompressionHooks hooks;
    hooks.stop = &stop;
    hooks.report = [&](const EpochReport&) { stop = ++epochs >= stop_after; };
    return compress_network(graph_, training_, test_, options, hooks);
  }
  const fs::path& file() const { return file_; }

  CompressionOptions options;

 private:
  FloatGraph graph_;
  Dataset training_, test_;
  fs::path file_;
};

void check_equal(const CompressionResult& found, const CompressionResult& expected) {
  CHECK(models::serialise_network(found.network) == models::serialise_network(expected.network));
  CHECK(found.pruned_accuracy == expected.pruned_accuracy);
  REQUIRE(found.points.size() == expected.points.size());
  for (std::size_t i = 0; i < found.points.size(); ++i) {
    INFO(i);
    CHECK(found.points[i].phase == expected.points[i].phase);
    CHECK(found.points[i].epoch == expected.points[i].epoch);
    CHECK(found.points[i].density == expected.points[i].density);
    CHECK(found.points[i].bits == expected.points[i].bits);
    CHECK(found.points[i].accuracy == expected.points[i].accuracy);
  }
}

std::string code_of(Resumable& compression) {
  try {
    compression.run(compression.file());
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("popcorn-compression") != std::string::npos);  // names the file
    return error.code();
  }
  return "none";
}

}  // namespace

TEST_CASE("a compression interrupted after any epoch goes on to the same network and report") {
  Resumable compression;
  const CompressionResult whole = compression.run({});
  check_equal(compression.run(compression.file()), whole);
  remove_checkpoint(compression.file());
  for (int after = 0; after < 10; ++after) {
    INFO("interrupted after epoch " << after);
    CHECK_THROWS_AS(compression.run(compression.file(), after), Interrupted);
    check_equal(compression.run(compression.file()), whole);
    remove_checkpoint(compression.file());
  }
  // Again and again, one epoch a run; and once more when all is done.
  for (int runs = 0; runs < 9; ++runs) CHECK_THROWS_AS(compression.run(compression.file(), 1), Interrupted);
  check_equal(compression.run(compression.file(), 1), whole);
  check_equal(compression.run(compression.file(), 1000), whole);
}

TEST_CASE("post-training compression with fine-tuning goes on too") {
  Resumable compression;
  compression.options.calibration_images = 50;
  compression.options.quantisation_training.epochs = 2;
  const CompressionResult whole = compression.run({});
  CHECK_THROWS_AS(compression.run(compression.file(), 0), Interrupted);
  check_equal(compression.run(compression.file()), whole);
}

TEST_CASE("checkpoints of other compressions and damaged ones are refused with their name") {
  Resumable compression;
  CHECK_THROWS_AS(compression.run(compression.file(), 6), Interrupted);
  const Bytes whole = read_file(compression.file());
  for (std::size_t size = 0; size < whole.size(); size += size < 200 ? 1 : 97) {
    write_file(compression.file(), ByteView(whole).first(size));
    CHECK(code_of(compression) == "checkpoint.damaged");
  }
  Bytes longer = whole;
  longer.push_back(0);
  write_file(compression.file(), longer);
  CHECK(code_of(compression) == "checkpoint.damaged");
  write_file(compression.file(), whole);
  compression.options.pruning.sparsity = 0.6;
  CHECK(code_of(compression) == "checkpoint.other_run");
  compression.options.pruning.sparsity = 0.7;
  compression.options.quantisation_training.learning_rate *= 2;
  CHECK(code_of(compression) == "checkpoint.other_run");
}
