// The models that a server publishes, with everything that does not change from request to request made once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "protocols/session/served_model.h"

namespace popcorn::service {

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
};

/// Immutable after construction, so thread-safe.
class ModelRegistry {
 public:
  /// @param secret what the names of configurations are keyed with: they tell apart what is served, and give
  /// nobody without the secret the means to test guesses of the weights
  /// @throws UsageError "server.models" when two have the same name or a name cannot stand in a URL
  ModelRegistry(const std::vector<std::shared_ptr<const protocols::ServedModel>>& models,
                const std::vector<unsigned>& key_sizes, ByteView secret);

  /// @throws Refusal not_found "model.not_found" that lists what is served
  const PublishedModel& get(const std::string& name) const;
  const std::map<std::string, PublishedModel>& all() const noexcept { return models_; }

 private:
  std::map<std::string, PublishedModel> models_;
};

}  // namespace popcorn::service
