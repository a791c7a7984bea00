#include "protocols/session/kept_options.h"

#include "base/error.h"
#include "protocols/engines.h"
#include "protocols/wire/session_state.h"

namespace popcorn::protocols {

namespace {

constexpr std::uint16_t kVersionWithEngine = kSessionStateVersion + 2;

}  // namespace

std::uint16_t state_version(const SessionOptions& options) {
  return options.engine == kDefaultEngine ? kSessionStateVersion : kVersionWithEngine;
}

bool has_engine_name(std::uint16_t version) {
  if (version != kSessionStateVersion && version != kVersionWithEngine) {
    StateReader::reject("it is of another version of this program");
  }
  return version == kVersionWithEngine;
}

std::string kept_engine(std::string name) {
  if (name == kDefaultEngine) StateReader::reject("it names the engine that goes without saying");
  return name;
}

bool kept_engine_uses_transfers(const ClientBundle& bundle, const SessionOptions& options) {
  try {
    return accepted_engine(bundle, options).uses_transfers(bundle, options);
  } catch (const RefusedError&) {
    StateReader::reject("its engine, its sign test or its output is none of this model");
  }
}

}  // namespace popcorn::protocols
