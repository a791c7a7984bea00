// Options about keys and protocols that several subcommands share.
#pragma once

#include <memory>
#include <string>

#include "paillier/keys/key_owner.h"

namespace CLI {
class App;
}

namespace popcorn::cli {

/// The engine whose results need not equal the plaintext network's bit for bit.
inline constexpr const char* kFastEngine = "shares-fast";

struct KeyOptions {
  std::string file;  ///< empty = a temporary key pair
  unsigned bits = paillier::kDefaultKeyBits;
  bool insecure_test_key = false;
  paillier::KeyKind kind = paillier::KeyKind::ordinary;  ///< of a temporary key pair

  paillier::KeySizePolicy policy() const {
    return insecure_test_key ? paillier::KeySizePolicy::insecure_test : paillier::KeySizePolicy::standard;
  }
};

/// --bits, with the given default, and --insecure-test-key.
void add_key_size_options(CLI::App& command, KeyOptions& options, unsigned default_bits);

/// --insecure-test-key alone, for keys that are read.
void add_test_key_option(CLI::App& command, KeyOptions& options);

/// @throws UsageError "key.bits" unless the size is 2048, 3072 or 4096, or a test key was asked for
void check_key_bits(const KeyOptions& options);

/// --engine, one of protocols::engine_names(); `name` holds the default.
void add_engine_option(CLI::App& command, std::string& name);

/// --sign-test, one of protocols::sign_test_names(); `name` holds the default.
void add_sign_test_option(CLI::App& command, std::string& name);

/// Reads options.file or makes a temporary key pair in memory; `said` tells in one sentence which.
std::shared_ptr<const paillier::KeyOwner> key_owner(const KeyOptions& options, std::string& said);

/// First 16 hexadecimal digits of a fingerprint, for people.
std::string short_fingerprint(const paillier::PublicKey& key);

}  // namespace popcorn::cli
