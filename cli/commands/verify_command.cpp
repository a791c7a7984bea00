// popcorn verify: both parties in one process; every tensor under encryption against the plaintext evaluator.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "cli/bench/own_work.h"
#include "cli/commands/commands.h"
#include "cli/keys.h"
#include "cli/options/test_set_options.h"
#include "cli/shipped_files.h"
#include "cli/terminal/notes.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "cli/verification.h"
#include "models/datasets/image_reading.h"
#include "models/evaluation/plaintext_evaluator.h"

namespace popcorn::cli {

namespace {

struct VerifyOptions {
  std::string model;
  datasets::TestSetChoice data;
  std::size_t images = 1;
  std::size_t sample = 0;
  KeyOptions key;
  std::string engine;  ///< or empty: what the network is for
  std::string sign_test = protocols::kDefaultSignTest;
  bool json = false;
};

struct Input {
  std::string name;
  WideVector values;
};

/// Test images with --data; else the shipped samples where the model takes pictures of that kind; else noise.
std::vector<Input> verification_inputs(const VerifyOptions& options, const models::IntegerNetwork& network) {
  const models::InputEncoding& encoding = network.encoding;
  std::vector<Input> inputs;
  if (!options.data.folder.empty()) {
    datasets::TestSetChoice choice = options.data;
    choice.limit = options.images;
    const datasets::TestSet data = datasets::open_test_set(choice, network);
    for (std::size_t i = 0; i < data.count(); ++i) {
      inputs.push_back({"test image " + std::to_string(i), data.input(encoding, i)});
    }
  } else if (encoding.shape.channels == 1 && encoding.shape.height > 1) {
    for (const Sample& sample : shipped_samples()) {
      if (inputs.size() == options.images) break;
      inputs.push_back({sample.path.filename().string(),
                        models::encode_image(encoding, datasets::read_image(sample.path))});
    }
  }
  while (inputs.size() < options.images) {
    inputs.push_back({"random input " + std::to_string(inputs.size()), random_input(encoding)});
  }
  return inputs;
}

/// Null where no inference is run.
std::shared_ptr<const protocols::ServedModel> served_for(const models::IntegerNetwork& network,
                                                         const VerifyOptions& options) {
  if (options.sample > 0) return nullptr;
  return protocols::ServedModel::create(network, protocols::kDefaultChunk, {}, {options.engine});
}

/// @throws CheckError "verify.bias"
void check_bias(const RoundingErrors& errors) {
  if (std::abs(errors.standard_errors()) <= RoundingErrors::kMost) return;
  throw CheckError("verify.bias", "the mean error of " + std::to_string(errors.values) + " truncations is " +
                                      std::to_string(errors.standard_errors()) + " standard errors from 0");
}

nlohmann::ordered_json errors_json(const RoundingErrors& errors) {
  return {{"truncations", errors.values}, {"mean_in_standard_errors", errors.standard_errors()}};
}

std::string story_of(const RoundingErrors& errors) {
  std::ostringstream text;
  text << "every value is one that fast rounding may give; the mean error of " << grouped(errors.values)
       << " truncations is " << std::fixed << std::setprecision(1) << errors.standard_errors()
       << " standard errors from 0";
  return text.str();
}

int verify(VerifyOptions options) {
  check_key_bits(options.key);
  const models::IntegerNetwork network = load_model_for_engine(options.model, options.engine);
  if (options.engine.empty())
    options.engine = network.is_requantised() ? "shares" : protocols::kDefaultEngine;
  const bool is_fast = options.engine == kFastEngine;
  const std::vector<Input> inputs = verification_inputs(options, network);
  std::string key_story;
  const auto owner = key_owner(options.key, key_story);
  notes() << key_story << '\n';
  Parties parties{
      served_for(network, options), owner, paillier::PublicContext::create(owner->public_key()), {}};
  parties.session.engine = options.engine;
  parties.session.sign_test = options.sign_test;

  std::optional<FastRoundingCheck> rounding;
  if (is_fast) rounding.emplace(network);
  VerifiedTensors verified;
  Progress progress("verifying " + network.name);
  std::size_t nodes_done = 0;
  const std::size_t nodes = inputs.size() * network.nodes.size();
  const auto start = std::chrono::steady_clock::now();
  for (const Input& input : inputs) {
    const auto show = [&](const models::Node& node) {
      progress.update(++nodes_done, nodes, input.name + " " + node.name);
    };
    if (options.sample > 0) {
      const VerifiedTensors one =
          verify_samples(parties, network, input.name, input.values, options.sample, show);
      verified.tensors += one.tensors;
      verified.values += one.values;
      continue;
    }
    const VerifiedTensors one = is_fast
                                    ? verify_fast_rounding(parties, input.name, input.values, *rounding, show)
                                    : verify_inference(parties, input.name, input.values,
                                                       models::evaluate_all(network, input.values), show);
    verified.tensors += one.tensors;
    verified.values += one.values;
  }
  progress.clear();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (rounding) check_bias(rounding->errors());
  if (options.json) {
    print_json(
        std::cout,
        {{"model", network.name},
         {"key_bits", owner->public_key().bits()},
         {"engine", options.engine},
         {"sign_test", options.sign_test},
         {"images", inputs.size()},
         {"tensors", verified.tensors},
         {"values", verified.values},
         {"sample", options.sample == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(options.sample)},
         {"equal", !is_fast},
         {"rounding_errors", rounding ? errors_json(rounding->errors()) : nlohmann::ordered_json()},
         {"seconds", elapsed.count()}});
    return 0;
  }
  std::cout << network.name << ": " << counted(inputs.size(), "image") << ", "
            << counted(verified.tensors, "tensor") << ", " << counted(verified.values, "value")
            << (options.sample > 0 ? " sampled" : "") << ": "
            << (rounding ? story_of(rounding->errors())
                         : "encrypted and plaintext results are equal, bit for bit")
            << " (" << human_seconds(elapsed.count()) << ")\n";
  return 0;
}

}  // namespace

void add_verify_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand(
      "verify", "Run both parties in one process and compare every layer with the plaintext result");
  command->add_option("model", options->model, "Path of a .popcorn file or name of a shipped model")
      ->required()
      ->type_name("MODEL");
  command->add_option("--images", options->images, "How many inputs")
      ->check(CLI::Range(1, 100000))
      ->type_name("N")
      ->capture_default_str();
  add_test_set_options(*command, options->data);
  command
      ->add_option("--sample", options->sample,
                   "About N values of every layer (of every level of a max-pool) on ciphertexts of the exact "
                   "operands, in place of a whole inference: for networks that take hours; 0 = all values")
      ->check(CLI::Range(0, 1000000))
      ->type_name("N")
      ->capture_default_str();
  add_key_size_options(*command, options->key, paillier::kDefaultKeyBits);
  add_engine_option(*command, options->engine);
  add_sign_test_option(*command, options->sign_test);
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Without --engine a requantised network is run on shares, an exact one on ciphertexts.\nExample:\n  "
      "popcorn verify mnist-conv2 --images 2 --bits 2048\n  popcorn verify synthetic:alexnet "
      "--sample 64 --bits 2048\n");
  command->callback([options, &chosen] { chosen = [options] { return verify(*options); }; });
}

}  // namespace popcorn::cli
