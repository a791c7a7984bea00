// popcorn keygen: a key pair as files.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/keys.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

struct KeygenOptions {
  KeyOptions key;
  std::string kind = "ordinary";
  std::string out;
  std::string public_out;
  bool force = false;
  bool json = false;
};

void refuse_to_overwrite(const std::string& path) {
  std::error_code ignored;
  if (!path.empty() && std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) {
    throw IoError("keygen.exists", path + " exists; give another name or --force to replace it");
  }
}

int keygen(const KeygenOptions& options) {
  check_key_bits(options.key);
  if (!options.public_out.empty() && options.public_out == options.out) {
    throw UsageError("keygen.same_file", "--public-out must be another file than --out");
  }
  if (!options.force) {
    refuse_to_overwrite(options.out);
    refuse_to_overwrite(options.public_out);
  }
  const auto kind = options.kind == "subgroup" ? paillier::KeyKind::subgroup : paillier::KeyKind::ordinary;
  const auto key = paillier::PrivateKey::generate(options.key.bits, kind, options.key.policy());
  paillier::write_private_key(options.out, key);
  if (!options.public_out.empty()) write_file(options.public_out, as_bytes(key.public_key().to_json()));

  const std::string fingerprint = to_hex(key.public_key().fingerprint());
  if (options.json) {
    nlohmann::ordered_json report = {{"key_bits", options.key.bits},
                                     {"kind", options.kind},
                                     {"fingerprint", fingerprint},
                                     {"private_key", options.out}};
    if (!options.public_out.empty()) report["public_key"] = options.public_out;
    print_json(std::cout, report);
    return 0;
  }
  std::cout << options.key.bits << "-bit " << options.kind << " key pair, fingerprint " << fingerprint << '\n'
            << "private key: " << options.out << " (keep it: whoever has it can read your inputs)\n";
  if (!options.public_out.empty()) std::cout << "public key: " << options.public_out << '\n';
  return 0;
}

}  // namespace

void add_keygen_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<KeygenOptions>();
  CLI::App* command = app.add_subcommand("keygen", "Make a key pair");
  command
      ->add_option("-o,--out", options->out,
                   "File for the private key; only its owner may read it (mode 0600)")
      ->required()
      ->type_name("FILE");
  command->add_option("--public-out", options->public_out, "File for the public key alone")
      ->type_name("FILE");
  add_key_size_options(*command, options->key, paillier::kDefaultKeyBits);
  command
      ->add_option("--kind", options->kind,
                   "ordinary, or subgroup: faster, but rests on one more assumption (see SECURITY.md)")
      ->check(CLI::IsMember({"ordinary", "subgroup"}))
      ->capture_default_str();
  command->add_flag("--force", options->force, "Replace files that exist");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer("Example:\n  popcorn keygen --bits 3072 -o my.key.json --public-out my.public.json\n");
  command->callback([options, &chosen] { chosen = [options] { return keygen(*options); }; });
}

}  // namespace popcorn::cli
