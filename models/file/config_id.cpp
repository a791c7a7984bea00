// IntegerNetwork::config_id(): the name of a function is the hash of its file.
#include "base/sha256.h"
#include "models/file/popcorn_file.h"
#include "models/network/integer_network.h"

namespace popcorn::models {

std::string IntegerNetwork::config_id() const {
  IntegerNetwork function = *this;
  function.facts.clear();
  return to_hex(sha256(serialise_network(function)));
}

}  // namespace popcorn::models
