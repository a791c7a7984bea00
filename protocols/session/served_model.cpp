#include "protocols/session/served_model.h"

#include <exception>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "protocols/engines.h"
#include "protocols/security.h"
#include "protocols/wire/message.h"

namespace popcorn::protocols {

namespace {

/// Everything that both parties must agree on: the function and the parameters of the protocol.
std::string configuration_name(const models::IntegerNetwork& network, std::uint64_t chunk) {
  const std::string text = "popcorn protocol " + std::to_string(kWireMajor) + "." +
                           std::to_string(kWireMinor) + " sigma " + std::to_string(kStatisticalSecurity) +
                           " kappa " + std::to_string(kBlindingBits) + " chunk " + std::to_string(chunk) +
                           " network " + network.config_id();
  return to_hex(sha256(as_bytes(text)));
}

/// The same for all engines.
ClientBundle describe(const models::IntegerNetwork& network, std::uint64_t chunk) {
  ClientBundle bundle;
  bundle.model = network.name;
  bundle.config_id = configuration_name(network, chunk);
  bundle.encoding = network.encoding;
  bundle.answer = network.answer;
  bundle.labels = network.labels;
  bundle.output_scale = network.output().scale;
  bundle.softmax = network.softmax;
  bundle.output_count = static_cast<std::uint64_t>(network.output().shape.size());
  bundle.output_bits = network.output().bounds.bits;
  return bundle;
}

void publish(const Engine& engine, const models::IntegerNetwork& network, const PublishOptions& options,
             ClientBundle& bundle) {
  ClientBundle more = bundle;
  engine.publish(network, options, more);
  more.engines.emplace_back(engine.name());
  bundle = std::move(more);
}

}  // namespace

ClientBundle make_client_bundle(const models::IntegerNetwork& network, std::uint64_t chunk,
                                const std::vector<std::string>& sign_tests,
                                const std::vector<std::string>& engines) {
  const PublishOptions options{chunk, sign_tests};
  ClientBundle bundle = describe(network, chunk);
  for (const std::string& name : engines) publish(engine_named(name), network, options, bundle);
  if (!engines.empty()) return bundle;
  std::exception_ptr first_problem;
  for (const std::string_view name : engine_names()) {
    try {
      publish(engine_named(name), network, options, bundle);
    } catch (const InputError&) {
      if (!first_problem) first_problem = std::current_exception();
    }
  }
  if (bundle.engines.empty()) std::rethrow_exception(first_problem);
  return bundle;
}

ServedModel::ServedModel(models::IntegerNetwork network, ClientBundle bundle)
    : network_(std::move(network)), bundle_(std::move(bundle)) {}
ServedModel::~ServedModel() = default;

std::shared_ptr<const ServedModel> ServedModel::create(models::IntegerNetwork network, std::uint64_t chunk,
                                                       const std::vector<std::string>& sign_tests,
                                                       const std::vector<std::string>& engines) {
  ClientBundle bundle = make_client_bundle(network, chunk, sign_tests, engines);
  const std::shared_ptr<ServedModel> model(new ServedModel(std::move(network), std::move(bundle)));
  for (const std::string& name : model->bundle_.engines) {
    model->prepared_[name] = engine_named(name).prepare(model->network_, {chunk, sign_tests});
  }
  return model;
}

const PreparedNetwork& ServedModel::prepared(std::string_view engine) const {
  const auto found = prepared_.find(engine);
  if (found == prepared_.end()) throw Error("engine.unprepared", "the model is not served with this engine");
  return *found->second;
}

}  // namespace popcorn::protocols
