#include "cli/keys.h"

#include <CLI/CLI.hpp>
#include <chrono>

#include "base/error.h"
#include "cli/terminal/output.h"
#include "protocols/ciphertext/sign/sign_protocol.h"
#include "protocols/engines.h"

namespace popcorn::cli {

void add_key_size_options(CLI::App& command, KeyOptions& options, unsigned default_bits) {
  options.bits = default_bits;
  command
      .add_option("--bits", options.bits,
                  "Bits of the key's modulus: 2048 (112-bit security), 3072 (128-bit) or 4096")
      ->type_name("N")
      ->capture_default_str();
  add_test_key_option(command, options);
}

void add_test_key_option(CLI::App& command, KeyOptions& options) {
  command.add_flag("--insecure-test-key", options.insecure_test_key,
                   "Also take keys that are small enough to be broken; for tests only");
}

void check_key_bits(const KeyOptions& options) {
  constexpr unsigned kSmallestTestKey = 256;
  constexpr unsigned kLargestTestKey = 8192;
  const bool is_standard = options.bits == 2048 || options.bits == 3072 || options.bits == 4096;
  const bool is_test_size =
      options.bits >= kSmallestTestKey && options.bits <= kLargestTestKey && options.bits % 128 == 0;
  if (is_standard || (options.insecure_test_key && is_test_size)) return;
  throw UsageError("key.bits", "a key has 2048, 3072 or 4096 bits, not " + std::to_string(options.bits));
}

void add_engine_option(CLI::App& command, std::string& name) {
  std::vector<std::string> names;
  for (const std::string_view known : protocols::engine_names()) names.emplace_back(known);
  CLI::Option* option = command.add_option("--engine", name, "How the inference is computed")
                            ->check(CLI::IsMember(names))
                            ->type_name("NAME");
  if (!name.empty()) option->capture_default_str();
}

void add_sign_test_option(CLI::App& command, std::string& name) {
  std::vector<std::string> names;
  for (const std::string_view known : protocols::sign_test_names()) names.emplace_back(known);
  command
      .add_option(
          "--sign-test", name,
          "How signs are compared: oblivious shows neither side anything; blinded is cheaper in bytes and "
          "shows the client a little (see SECURITY.md)")
      ->check(CLI::IsMember(names))
      ->type_name("NAME")
      ->capture_default_str();
}

std::shared_ptr<const paillier::KeyOwner> key_owner(const KeyOptions& options, std::string& said) {
  if (!options.file.empty()) {
    auto owner = std::make_shared<const paillier::KeyOwner>(
        paillier::read_private_key(options.file, options.policy()));
    said = "key " + short_fingerprint(owner->public_key()) + " of " + options.file;
    return owner;
  }
  check_key_bits(options);
  const auto start = std::chrono::steady_clock::now();
  auto owner = std::make_shared<const paillier::KeyOwner>(
      paillier::PrivateKey::generate(options.bits, options.kind, options.policy()));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  said = "temporary " + std::to_string(options.bits) + "-bit key " + short_fingerprint(owner->public_key()) +
         ", made in " + human_seconds(elapsed.count()) + " and kept in memory only";
  return owner;
}

std::string short_fingerprint(const paillier::PublicKey& key) {
  constexpr std::size_t kDigits = 16;
  return to_hex(key.fingerprint()).substr(0, kDigits);
}

}  // namespace popcorn::cli
