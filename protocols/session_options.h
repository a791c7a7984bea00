// What a session was asked for, against what the model offers.
#pragma once

#include "protocols/session.h"
#include "protocols/sign_test.h"

namespace popcorn::protocols {

/// @throws RefusedError "sign_test.refused" when the model does not offer it, "output.unknown"
const SignTest& accepted_sign_test(const ClientBundle& bundle, const SessionOptions& options);
/// The same for options that were read from a session's kept state. @throws InputError
/// "session_state.invalid"
const SignTest& kept_sign_test(const ClientBundle& bundle, const SessionOptions& options);

}  // namespace popcorn::protocols
