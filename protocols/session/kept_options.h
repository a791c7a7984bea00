// The options of a session as its kept state tells them.
#pragma once

#include <cstdint>
#include <string>

#include "protocols/client_bundle.h"
#include "protocols/session_options.h"

namespace popcorn::protocols {

/// States of the first engine say nothing of it, as those from before there were others.
std::uint16_t state_version(const SessionOptions& options);
/// Whether the engine's name follows a version. @throws InputError "session_state.invalid"
bool has_engine_name(std::uint16_t version);
/// A name that followed one. @throws InputError "session_state.invalid" when no state says it
std::string kept_engine(std::string name);
/// Engine::uses_transfers() for options that were read from a state. @throws InputError
/// "session_state.invalid" when the model does not offer them
bool kept_engine_uses_transfers(const ClientBundle& bundle, const SessionOptions& options);

}  // namespace popcorn::protocols
