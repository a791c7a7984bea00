#include "protocols/ciphertext/ciphertext_engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "protocols/ciphertext/ciphertext_client.h"
#include "protocols/ciphertext/ciphertext_cost.h"
#include "protocols/ciphertext/ciphertext_network.h"
#include "protocols/ciphertext/ciphertext_server.h"
#include "protocols/ciphertext/layer_samples.h"
#include "protocols/ciphertext/time_estimate.h"

namespace popcorn::protocols {

namespace {

/// @throws RefusedError "sign_test.refused" when the model does not offer it
const SignTest& accepted_sign_test(const ClientBundle& bundle, const SessionOptions& options) {
  if (std::ranges::find(bundle.sign_tests, options.sign_test) == bundle.sign_tests.end()) {
    std::string offered;
    for (const std::string& name : bundle.sign_tests) offered += (offered.empty() ? "" : ", ") + name;
    throw RefusedError("sign_test.refused", "model \"" + bundle.model +
                                                "\" is not served with the sign test \"" + options.sign_test +
                                                "\"; offered are: " + offered);
  }
  return sign_test_named(options.sign_test);
}

class CiphertextEngine final : public Engine {
 public:
  std::string_view name() const noexcept override { return kDefaultEngine; }

  void publish(const models::IntegerNetwork& network, const PublishOptions& options,
               ClientBundle& bundle) const override {
    bundle.steps = plan_steps(network, options.chunk);
    for (Step& step : bundle.steps) {  // the client knows sizes, not places
      step.node = 0;
      step.level = 0;
      step.first = 0;
    }
    bundle.sign_tests.clear();
    if (options.sign_tests.empty()) {
      for (const std::string_view known : sign_test_names()) bundle.sign_tests.emplace_back(known);
    }
    for (const std::string& wanted : options.sign_tests) {
      bundle.sign_tests.emplace_back(sign_test_named(wanted).name());  // refuses unknown ones
    }
  }

  std::unique_ptr<const PreparedNetwork> prepare(const models::IntegerNetwork& network,
                                                 const PublishOptions& options) const override {
    return std::make_unique<CiphertextNetwork>(network, options.chunk);
  }

  bool uses_transfers(const ClientBundle& bundle, const SessionOptions& options) const override {
    return accepted_sign_test(bundle, options).set_up(true) == ot::SetUp::resumed && !bundle.steps.empty();
  }

  std::unique_ptr<ServerEngine> server(const ServerParts& parts) const override {
    return std::make_unique<CiphertextServer>(parts, planned(parts.network),
                                              accepted_sign_test(parts.bundle, parts.options));
  }

  std::unique_ptr<ClientEngine> client(const ClientParts& parts, WideVector input) const override {
    return std::make_unique<CiphertextClient>(parts, accepted_sign_test(parts.bundle, parts.options),
                                              std::move(input));
  }

  InferenceCost cost(const PreparedNetwork& network, const ClientBundle& bundle, unsigned key_bits,
                     const SessionOptions& options, bool resumes) const override {
    const SignTest& sign_test = accepted_sign_test(bundle, options);
    return ciphertext_cost(planned(network), RoundPlan(bundle, sign_test, key_bits, resumes));
  }

  InferenceCost client_cost(const ClientBundle& bundle, unsigned key_bits, const SessionOptions& options,
                            bool resumes) const override {
    const SignTest& sign_test = accepted_sign_test(bundle, options);
    return ciphertext_client_cost(RoundPlan(bundle, sign_test, key_bits, resumes));
  }

  MachineSpeed measure_speed(const std::shared_ptr<const paillier::KeyOwner>& owner,
                             const std::shared_ptr<const paillier::PublicContext>& context,
                             const SessionOptions& options, Rng& rng) const override {
    return protocols::measure_speed(owner, context, options.sign_test, rng);
  }

  std::unique_ptr<LayerCheck> layer_check(const models::IntegerNetwork& network,
                                          std::shared_ptr<const paillier::KeyOwner> owner,
                                          std::shared_ptr<const paillier::PublicContext> context,
                                          const SessionOptions& options, Rng& rng) const override {
    return std::make_unique<LayerSamples>(network, std::move(owner), std::move(context), options.sign_test,
                                          rng);
  }

 private:
  static const CiphertextNetwork& planned(const PreparedNetwork& network) {
    return dynamic_cast<const CiphertextNetwork&>(network);
  }
};

}  // namespace

const Engine& ciphertext_engine() {
  static const CiphertextEngine engine;
  return engine;
}

}  // namespace popcorn::protocols
