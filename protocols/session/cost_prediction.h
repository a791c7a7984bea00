// What an inference costs, before it is made.
#pragma once

#include "protocols/plan/inference_cost.h"
#include "protocols/session/served_model.h"
#include "protocols/session_options.h"

namespace popcorn::protocols {

/// With options.engine. @param resumes whether both parties resume the transfers' set-up of an earlier
/// inference under the key
/// @throws RefusedError for options that the model does not offer, InputError "model.too_wide"
InferenceCost predict_cost(const ServedModel& model, unsigned key_bits, const SessionOptions& options = {},
                           bool resumes = false);
/// What a client can know: bytes, rounds, ciphertexts and its own memory as above, of the server's work only
/// the steps. One layer for the input, each step, the output.
InferenceCost predict_client_cost(const ClientBundle& bundle, unsigned key_bits,
                                  const SessionOptions& options = {}, bool resumes = false);

}  // namespace popcorn::protocols
