// One inference with both parties in this process, held against the plaintext evaluator tensor by tensor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/fast_rounding_check.h"
#include "protocols/session/session.h"

namespace popcorn::cli {

struct Parties {
  std::shared_ptr<const protocols::ServedModel> model;
  std::shared_ptr<const paillier::KeyOwner> owner;
  std::shared_ptr<const paillier::PublicContext> context;
  protocols::SessionOptions session;
};

/// What was compared.
struct VerifiedTensors {
  std::size_t tensors = 0;
  std::size_t values = 0;
};

/// Reveals the tensor of every node as soon as it exists and compares it with `expected`, the
/// outputs of all nodes (models::evaluate_all). @param input_name used in messages. @param progress called
/// after each node
/// @throws CheckError "verify.mismatch" that names the input, the node and the first differing element,
/// "verify.unseen" when a node was not evaluated under encryption
VerifiedTensors verify_inference(const Parties& parties, const std::string& input_name,
                                 const WideVector& input, const std::vector<WideVector>& expected,
                                 const std::function<void(const models::Node&)>& progress = {});

/// The same with the engine "shares-fast", whose truncations draw what they round to.
/// @throws CheckError "verify.mismatch", "verify.unseen" as FastRoundingCheck::check()
VerifiedTensors verify_fast_rounding(const Parties& parties, const std::string& input_name,
                                     const WideVector& input, FastRoundingCheck& check,
                                     const std::function<void(const models::Node&)>& progress = {});

/// About `count` values of every node on ciphertexts of the plaintext operands (see
/// protocols/plan/layer_check.h): every layer is checked, but not that one's result is the next one's
/// operand.
/// @throws CheckError "verify.mismatch"; UsageError "verify.sample" for an engine that has no such check
/// @param parties without a model
VerifiedTensors verify_samples(const Parties& parties, const models::IntegerNetwork& network,
                               const std::string& input_name, const WideVector& input, std::size_t count,
                               const std::function<void(const models::Node&)>& progress = {});

}  // namespace popcorn::cli
