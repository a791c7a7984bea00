// What a party that did not follow the protocol has done to a session.
#pragma once

#include <string>

#include "base/error.h"

namespace popcorn::protocols::ot {

/// A check that depends on secrets failed. That it failed may already tell the other party something about
/// them, so nothing may be answered with them again: whoever catches it drops the session and the set-up that
/// the session made or resumed. Codes "ot.check", "ot.point" and "message.plaintext".
///
/// Every other InputError of a session (length, round, header, a ciphertext that is none) was found from
/// public bytes only and leaves the session as it was.
class FailedCheck : public InputError {
 public:
  FailedCheck(std::string code, const std::string& what)
      : InputError(std::move(code), what +
                                        ": the other party does not follow the protocol; the session is over "
                                        "and its set-up is forgotten") {}
};

}  // namespace popcorn::protocols::ot
