// What the server publishes about a model: enough for a client to encode, run the steps and read the answer;
// no weights.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/network/integer_network.h"
#include "protocols/plan/steps.h"

namespace popcorn::protocols {

namespace shares {
struct ShareFacts;
}

struct ClientBundle {
  std::string model;
  std::string config_id;  ///< names the network and the protocol parameters; a session is bound to it
  models::InputEncoding encoding;
  models::Answer answer = models::Answer::logits;
  std::vector<std::string> labels;
  std::vector<double> output_scale;  ///< one per logit, or one for all
  bool softmax = true;
  std::uint64_t output_count = 0;
  unsigned output_bits = 0;
  std::vector<std::string> engines;  ///< accepted by the server, preferred first; not empty

  // Of the engine "ciphertext".
  std::vector<Step> steps;              ///< kind, name, count, bits
  std::vector<std::string> sign_tests;  ///< accepted by the server, preferred first

  // Of the engines "shares" and "shares-fast"; null without them.
  std::shared_ptr<const shares::ShareFacts> share_facts = nullptr;
};

/// What was asked for or, when that is empty, what the server prefers of what it offers.
std::string chosen_of(const std::string& asked, const std::vector<std::string>& offered);
std::string bundle_to_json(const ClientBundle& bundle);
/// Bounded and validated: every byte may be hostile. @throws InputError "bundle.*" that names the field
ClientBundle bundle_from_json(std::string_view json);

}  // namespace popcorn::protocols
