#include "service/model_registry.h"

#include <algorithm>

#include "base/sha256.h"
#include "protocols/session/cost_prediction.h"
#include "service/refusal.h"
#include "service/store/shared_secret.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kListedModels = 20;

bool is_url_name(const std::string& name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= 128 && name.find_first_not_of(kAllowed) == std::string::npos &&
         name.find_first_not_of('.') != std::string::npos;
}

std::vector<PublishedModel::Traffic> expected_traffic(const protocols::ServedModel& model,
                                                      const std::vector<unsigned>& key_sizes) {
  std::vector<PublishedModel::Traffic> traffic;
  protocols::SessionOptions preferred;
  preferred.engine = model.bundle().engines.front();
  if (!model.bundle().sign_tests.empty()) preferred.sign_test = model.bundle().sign_tests.front();
  for (const unsigned key_bits : key_sizes) {
    try {
      const protocols::InferenceCost cost = protocols::predict_cost(model, key_bits, preferred);
      traffic.push_back({key_bits, cost.rounds, cost.bytes_up, cost.bytes_down, cost.multiplications});
    } catch (const InputError&) {
      // Too narrow for this network's values: not a size to publish.
    }
  }
  return traffic;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void add_form(ModelForms& forms, PublishedModel model) {
  const std::vector<std::string> offered = engines_of(forms);
  for (const std::string& engine : offered) {
    if (model.offers(engine)) {
      throw UsageError("server.models",
                       "Two models are called \"" + model.name() + "\" (both for the engine " + engine + ")");
    }
  }
  forms.push_back(std::move(model));
}

}  // namespace

bool PublishedModel::offers(std::string_view engine) const {
  return std::ranges::find(bundle.engines, engine) != bundle.engines.end();
}

std::vector<std::string> engines_of(const ModelForms& forms) {
  std::vector<std::string> engines;
  for (const PublishedModel& form : forms)
    engines.insert(engines.end(), form.bundle.engines.begin(), form.bundle.engines.end());
  return engines;
}

ModelRegistry::ModelRegistry(const std::vector<std::shared_ptr<const protocols::ServedModel>>& models,
                             const std::vector<unsigned>& key_sizes, ByteView secret) {
  for (const auto& served : models) {
    PublishedModel model;
    model.served = served;
    model.bundle = served->bundle();
    model.bundle.config_id = to_hex(hmac_sha256(secret, as_bytes("configuration " + model.bundle.config_id)));
    model.bundle_json = protocols::bundle_to_json(model.bundle);
    model.etag = "\"" + to_hex(sha256(as_bytes(model.bundle_json))) + "\"";
    model.traffic = expected_traffic(*served, key_sizes);
    const std::string name = model.name();
    if (!is_url_name(name)) {
      throw UsageError(
          "server.models",
          "The model name \"" + name + "\" cannot stand in a URL: use letters, digits, '.', '_' and '-'");
    }
    add_form(models_[name], std::move(model));
  }
}

const PublishedModel& ModelRegistry::get(const std::string& name, std::string_view engine) const {
  const ModelForms& known = forms(name);
  if (engine.empty()) return known.front();
  const auto found =
      std::ranges::find_if(known, [&](const PublishedModel& form) { return form.offers(engine); });
  if (found != known.end()) return *found;
  throw Refusal(RefusalKind::invalid, "model.engine",
                "\"" + name + "\" is served by the engines: " + joined(engines_of(known)));
}

const PublishedModel* ModelRegistry::find(const std::string& name, const std::string& config_id) const {
  const ModelForms& known = forms(name);
  const auto found =
      std::ranges::find_if(known, [&](const PublishedModel& form) { return form.config_id() == config_id; });
  return found == known.end() ? nullptr : &*found;
}

const ModelForms& ModelRegistry::forms(const std::string& name) const {
  const auto found = models_.find(name);
  if (found != models_.end()) {
    return found->second;
  }
  std::string served;
  std::size_t listed = 0;
  for (const auto& [known, model] : models_) {
    if (listed++ == kListedModels) {
      served += ", …";
      break;
    }
    served += (served.empty() ? "" : ", ") + known;
  }
  const std::string asked = is_url_name(name) ? "\"" + name + "\"" : "of that name";
  throw Refusal(RefusalKind::not_found, "model.not_found",
                "There is no model " + asked + " here" + (served.empty() ? "" : "; served: " + served));
}

}  // namespace popcorn::service
