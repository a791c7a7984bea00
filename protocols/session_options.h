// What a session is asked for.
#pragma once

#include <memory>
#include <string>

#include "protocols/ot/set_up.h"

namespace popcorn::protocols {

inline constexpr const char* kDefaultEngine = "ciphertext";
/// Leaks nothing; the alternative is "blinded".
inline constexpr const char* kDefaultSignTest = "oblivious";

struct SessionOptions {
  std::string sign_test = kDefaultSignTest;  ///< of the engine "ciphertext"
  std::string output = "logits";
  /// Set-up of transfers that both parties kept from an earlier session under this key, or null: the parties
  /// must agree (by KeptSetUp::id) before the first message.
  std::shared_ptr<const ot::KeptSetUp> transfer_set_up = nullptr;
  std::string engine = kDefaultEngine;
};

}  // namespace popcorn::protocols
