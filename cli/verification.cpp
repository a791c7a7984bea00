#include "cli/verification.h"

#include <optional>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/arg_max.h"
#include "protocols/engines.h"

namespace popcorn::cli {

namespace {

void require_equal(const std::string& input_name, const models::Node& node, const WideVector& encrypted,
                   const WideVector& expected) {
  const std::string where = input_name + ", node " + node.name;
  if (encrypted.size() != expected.size()) {
    throw CheckError("verify.mismatch", where + ": " + std::to_string(encrypted.size()) +
                                            " values under encryption, " + std::to_string(expected.size()) +
                                            " in plaintext");
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (WideVector::compare(encrypted, i, expected, i) == 0) continue;
    throw CheckError("verify.mismatch", where + ", element " + std::to_string(i) + ": " +
                                            encrypted.to_decimal(i) + " under encryption, " +
                                            expected.to_decimal(i) + " in plaintext");
  }
}

/// One inference with both parties here; gives its output.
WideVector run_observed(const Parties& parties, const WideVector& input, protocols::Observer observer) {
  protocols::ServerSession server(parties.model, parties.context, parties.session);
  protocols::ClientSession client(parties.model->bundle(), parties.owner, input, parties.session);
  server.observe(client, std::move(observer));
  std::optional<ByteView> message = client.start();
  while (message) message = client.handle(server.handle(*message));
  return client.logits();
}

}  // namespace

VerifiedTensors verify_inference(const Parties& parties, const std::string& input_name,
                                 const WideVector& input, const std::vector<WideVector>& expected,
                                 const std::function<void(const models::Node&)>& progress) {
  const models::IntegerNetwork& network = parties.model->network();
  VerifiedTensors verified;
  std::vector<bool> seen(network.nodes.size(), false);

  const WideVector output = run_observed(parties, input, [&](std::size_t index, const WideVector& values) {
    const models::Node& node = network.nodes.at(index);
    require_equal(input_name, node, values, expected.at(index));
    verified.values += values.size();
    ++verified.tensors;
    seen[index] = true;
    if (progress) progress(node);
  });
  require_equal(input_name, network.output(), output, expected.back());
  // On shares a step takes several nodes at once, an arg-max all of its; what else has weights is always
  // there.
  const bool fuses = parties.session.engine != protocols::kDefaultEngine;
  const std::size_t last = fuses ? models::logits_node(network) : seen.size() - 2;
  for (std::size_t i = 0; i <= last; ++i) {
    if (!seen[i] && (!fuses || !network.nodes[i].weights.empty())) {
      throw CheckError("verify.unseen",
                       "node " + network.nodes[i].name + " was not evaluated under encryption");
    }
  }
  return verified;
}

VerifiedTensors verify_fast_rounding(const Parties& parties, const std::string& input_name,
                                     const WideVector& input, FastRoundingCheck& check,
                                     const std::function<void(const models::Node&)>& progress) {
  const models::IntegerNetwork& network = parties.model->network();
  VerifiedTensors verified;
  check.begin(input);
  const WideVector output = run_observed(parties, input, [&](std::size_t index, const WideVector& values) {
    check.show(index, values);
    ++verified.tensors;
    if (progress) progress(network.nodes.at(index));
  });
  verified.values = check.check(input_name, output);
  return verified;
}

VerifiedTensors verify_samples(const Parties& parties, const models::IntegerNetwork& network,
                               const std::string& input_name, const WideVector& input, std::size_t count,
                               const std::function<void(const models::Node&)>& progress) {
  const std::unique_ptr<protocols::LayerCheck> samples =
      protocols::engine_named(parties.session.engine)
          .layer_check(network, parties.owner, parties.context, parties.session, system_rng());
  if (samples == nullptr) {
    throw UsageError("verify.sample",
                     "the engine \"" + parties.session.engine + "\" runs whole inferences only");
  }
  std::vector<std::size_t> readers(network.nodes.size(), 0);
  for (const models::Node& node : network.nodes) {
    for (const std::size_t operand : node.inputs) ++readers[operand];
  }
  std::vector<WideVector> tensors(network.nodes.size());
  VerifiedTensors verified;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const models::Node& node = network.nodes[i];
    std::vector<const WideVector*> operands;
    for (const std::size_t operand : node.inputs) operands.push_back(&tensors[operand]);
    tensors[i] = i == 0 ? input : models::evaluate_node(network, i, operands);
    try {
      const std::size_t values = samples->check(i, operands, tensors[i], count);
      verified.values += values;
      verified.tensors += values > 0 ? 1 : 0;
    } catch (const CheckError& error) {
      throw CheckError(error.code(), input_name + ", " + error.what());
    }
    for (const std::size_t operand : node.inputs) {
      if (--readers[operand] == 0) tensors[operand] = WideVector();  // may be gigabytes
    }
    if (progress) progress(node);
  }
  return verified;
}

}  // namespace popcorn::cli
