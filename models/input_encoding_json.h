// JSON forms that the model file and the client bundle share. Private to models/.
#pragma once

#include <nlohmann/json.hpp>

#include "models/integer_network.h"

namespace popcorn::models {

/// Keys keep their order, so the same network gives the same bytes.
using Json = nlohmann::ordered_json;

Json encoding_json(const InputEncoding& encoding);

}  // namespace popcorn::models
