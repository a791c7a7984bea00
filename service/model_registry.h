// The models that a server publishes, with everything that does not change from request to request made once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/session/served_model.h"

namespace popcorn::service {

/// One form of a model: a network, and the engines that clients may choose for it.
struct PublishedModel {
  std::shared_ptr<const protocols::ServedModel> served;
  protocols::ClientBundle bundle;  ///< with the keyed configuration name
  std::string bundle_json;
  std::string etag;  ///< of the bundle, with its quotes

  /// What an inference moves, for a key size that the network accepts.
  struct Traffic {
    unsigned key_bits = 0;
    std::uint64_t rounds = 0, bytes_up = 0, bytes_down = 0, multiplications = 0;
  };
  std::vector<Traffic> traffic;

  const std::string& name() const { return served->bundle().model; }
  const std::string& config_id() const { return bundle.config_id; }
  bool offers(std::string_view engine) const;
};

/// What goes by one name, preferred first: no two forms offer the same engine. Not empty.
using ModelForms = std::vector<PublishedModel>;
/// Of all forms, in their order.
std::vector<std::string> engines_of(const ModelForms& forms);

/// Immutable after construction, so thread-safe.
class ModelRegistry {
 public:
  /// @param secret what the names of configurations are keyed with: they tell apart what is served, and give
  /// nobody without the secret the means to test guesses of the weights
  /// @throws UsageError "server.models" when two offer the same engine under one name or a name cannot stand
  /// in a URL
  ModelRegistry(const std::vector<std::shared_ptr<const protocols::ServedModel>>& models,
                const std::vector<unsigned>& key_sizes, ByteView secret);

  /// @throws Refusal not_found "model.not_found" that lists what is served
  const ModelForms& forms(const std::string& name) const;
  /// The form for an engine; the preferred one when it is empty. @throws Refusal as forms(), and invalid
  /// "model.engine" that lists the engines
  const PublishedModel& get(const std::string& name, std::string_view engine = {}) const;
  /// The form of that configuration; null when it is not served (any more). @throws Refusal as forms()
  const PublishedModel* find(const std::string& name, const std::string& config_id) const;
  const std::map<std::string, ModelForms>& all() const noexcept { return models_; }

 private:
  std::map<std::string, ModelForms> models_;
};

}  // namespace popcorn::service
