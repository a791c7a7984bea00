// A session's unchanging facts as bytes, for a store outside of the process.
#pragma once

#include "service/store/session_store.h"

namespace popcorn::service {

/// What does not change while the session lives: not the rounds done, the phase and the times.
Bytes serialise_session(const SessionInfo& session);
/// @throws InputError "session_record.*"
SessionInfo parse_session(ByteView bytes);

}  // namespace popcorn::service
