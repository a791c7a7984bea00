// A network made ready to serve.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/network/integer_network.h"
#include "protocols/client_bundle.h"
#include "protocols/wire/limits.h"

namespace popcorn::protocols {

class PreparedNetwork;

/// A network, what clients are told of it, and what each engine keeps ready for it. Immutable, shared by all
/// sessions.
class ServedModel {
 public:
  /// Seconds for a large network. @param network finished. @param chunk most comparisons of one step
  /// @param sign_tests that clients may choose, preferred first; empty = all
  /// @param engines likewise; empty = all that can run the network
  /// @throws InputError "model.*", RefusedError for names that nobody knows
  static std::shared_ptr<const ServedModel> create(models::IntegerNetwork network,
                                                   std::uint64_t chunk = kDefaultChunk,
                                                   const std::vector<std::string>& sign_tests = {},
                                                   const std::vector<std::string>& engines = {});
  ~ServedModel();
  ServedModel(const ServedModel&) = delete;
  ServedModel& operator=(const ServedModel&) = delete;

  const models::IntegerNetwork& network() const noexcept { return network_; }
  const ClientBundle& bundle() const noexcept { return bundle_; }
  /// @param engine one of the bundle's
  const PreparedNetwork& prepared(std::string_view engine) const;

 private:
  ServedModel(models::IntegerNetwork network, ClientBundle bundle);

  const models::IntegerNetwork network_;
  const ClientBundle bundle_;
  std::map<std::string, std::unique_ptr<const PreparedNetwork>, std::less<>> prepared_;  ///< by engine
};

/// What the server publishes of a network. Parameters and exceptions as in ServedModel::create().
ClientBundle make_client_bundle(const models::IntegerNetwork& network, std::uint64_t chunk = kDefaultChunk,
                                const std::vector<std::string>& sign_tests = {},
                                const std::vector<std::string>& engines = {});

}  // namespace popcorn::protocols
