// Keys as JSON Web Keys with the fields of python-paillier, and one object "popcorn" for what those cannot
// say.
#include <openssl/crypto.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "paillier/keys/key_factoring.h"
#include "paillier/keys/key_proof.h"
#include "paillier/keys/key_validation.h"
#include "paillier/keys/keys.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxNumberText = 4096 / 6 + 4;  // base64url of a number below 2^4096
constexpr std::size_t kMaxDepth = 4;                  // private key, "pub", "popcorn", and one more
constexpr std::size_t kMaxProofText = 4 * (key_proof_bytes(4096 / 8) + 2) / 3;
constexpr unsigned kPopcornVersion = 1;
constexpr unsigned kProofVersion = 2;  // of a public key's object that has a proof
constexpr const char* kKeyType = "DAJ";
constexpr const char* kOrdinaryAlgorithm = "PAI-GN1";
// Another name, so that software which knows only "PAI-GN1" does not encrypt with r^N: the short private
// exponent of a subgroup key could not decrypt that.
constexpr const char* kSubgroupAlgorithm = "PAI-SG1";

[[noreturn]] void refuse_field(const std::string& field, const std::string& reason) {
  throw InputError("key.field", "the field \"" + printable(field) + "\" of the key " + reason);
}

void wipe(std::string& text) noexcept {
  OPENSSL_cleanse(text.data(), text.size());
}

void wipe(json& value) noexcept {
  if (auto* text = value.get_ptr<std::string*>(); text != nullptr) wipe(*text);
  if (auto* array = value.get_ptr<json::array_t*>(); array != nullptr) {
    for (json& child : *array) wipe(child);
  }
  if (auto* object = value.get_ptr<json::object_t*>(); object != nullptr) {
    for (auto& [name, child] : *object) wipe(child);
  }
}

/// Parses one JSON object without repeated names.
json parse_object(std::string_view text) {
  if (text.size() > kMaxKeyFileBytes) {
    throw InputError("key.json",
                     "the key is longer than the " + std::to_string(kMaxKeyFileBytes) + " bytes allowed");
  }
  Json value;
  if (const auto problem = read_json(text, value, {.depth = kMaxDepth})) {
    if (problem->kind == JsonProblem::Kind::repeated) refuse_field(problem->name, "appears twice");
    if (problem->kind == JsonProblem::Kind::depth) {
      throw InputError("key.json", "the JSON of the key is nested too deeply");
    }
    throw InputError("key.json", "the key is not valid JSON");  // no byte: what stands there may be secret
  }
  if (!value.is_object()) throw InputError("key.json", "the key is not a JSON object");
  return value;
}

/// A parsed text whose strings are wiped with it. (What the JSON library copies while it reads is not.)
struct WipedJson {
  json value;
  explicit WipedJson(std::string_view text) : value(parse_object(text)) {}
  WipedJson(const WipedJson&) = delete;
  WipedJson& operator=(const WipedJson&) = delete;
  ~WipedJson() { wipe(value); }
};

/// The fields of one object; every one must be asked for or be refused as unknown.
class Fields {
 public:
  Fields(const json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

  std::string path(const std::string& name) const { return prefix_ + name; }
  const json* find(const std::string& name) {
    known_.insert(name);
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  bool has(const std::string& name) { return find(name) != nullptr; }

  const json& require(const std::string& name) {
    const json* value = find(name);
    if (value == nullptr) refuse_field(path(name), "is missing");
    return *value;
  }
  const std::string& text(const std::string& name) {
    const json& value = require(name);
    if (!value.is_string()) refuse_field(path(name), "is not a string");
    return value.get_ref<const std::string&>();
  }
  void expect_text(const std::string& name, const std::string& expected) {
    if (text(name) != expected) refuse_field(path(name), "is not \"" + expected + "\"");
  }
  /// Like expect_text() for a field that may be absent.
  void expect_optional_text(const std::string& name, const std::string& expected) {
    if (has(name)) expect_text(name, expected);
  }
  Fields object(const std::string& name) {
    const json& value = require(name);
    if (!value.is_object()) refuse_field(path(name), "is not an object");
    return {value, path(name) + "."};
  }
  /// Big-endian number in base64url.
  SecretBytes number(const std::string& name) {
    const std::string& encoded = text(name);
    if (encoded.empty()) refuse_field(path(name), "is empty");
    if (encoded.size() > kMaxNumberText) refuse_field(path(name), "has more than 4096 bits");
    return SecretBytes(decoded(name, encoded));
  }
  /// The proof of a key in base64url.
  Bytes proof(const std::string& name) {
    const std::string& encoded = text(name);
    if (encoded.empty()) refuse_field(path(name), "is empty");
    if (encoded.size() > kMaxProofText) refuse_field(path(name), "is longer than any proof");
    return decoded(name, encoded);
  }
  Bytes decoded(const std::string& name, const std::string& encoded) {
    try {
      return from_base64url(encoded);
    } catch (const InputError& error) {
      refuse_field(path(name), std::string("is no number: ") + error.what());
    }
  }
  /// "key_ops", when present, must allow `operation`.
  void expect_operation(const std::string& operation) {
    const json* operations = find("key_ops");
    if (operations == nullptr) return;
    if (!operations->is_array() || std::ranges::find(*operations, json(operation)) == operations->end()) {
      refuse_field(path("key_ops"), "is no list with \"" + operation + "\" in it");
    }
  }
  /// From 1 to `newest`.
  unsigned version(unsigned newest) {
    const json& version = require("version");
    for (unsigned known = kPopcornVersion; version.is_number_unsigned() && known <= newest; ++known) {
      if (version == known) return known;
    }
    throw InputError("key.version",
                     "the field \"" + path("version") + "\" of the key is not " +
                         (newest == kPopcornVersion ? "1, the version" : "1 or 2, the versions") +
                         " this program reads");
  }
  KeyKind kind() {
    const std::string& name = text("kind");
    if (name == "ordinary") return KeyKind::ordinary;
    if (name == "subgroup") return KeyKind::subgroup;
    refuse_field(path("kind"), "is neither \"ordinary\" nor \"subgroup\"");
  }
  void ignore_text(const std::string& name) {
    if (has(name)) text(name);
  }
  void expect_end() const {
    for (const auto& item : object_.items()) {
      if (!known_.contains(item.key())) refuse_field(path(item.key()), "is unknown");
    }
  }

 private:
  const json& object_;
  std::string prefix_;
  std::set<std::string> known_;
};

/// What a public JWK says, before validation of the numbers.
struct PublicFields {
  KeyKind kind = KeyKind::ordinary;
  SecretBytes modulus;
  SecretBytes generator;
  Bytes proof;  ///< empty when there is none
  std::optional<std::string> fingerprint;
};

PublicFields read_public(Fields fields) {
  PublicFields result;
  if (fields.has("pub")) {
    throw InputError("key.field",
                     "this is a private key (it has the field \"pub\"); its public part was expected");
  }
  if (fields.has("popcorn")) {
    Fields own = fields.object("popcorn");
    const unsigned version = own.version(kProofVersion);
    result.kind = own.kind();
    result.fingerprint = own.text("fingerprint");
    if (result.kind == KeyKind::subgroup) result.generator = own.number("generator");
    if (version == kProofVersion) result.proof = own.proof("proof");
    own.expect_end();
  }
  fields.expect_text("kty", kKeyType);
  fields.expect_text("alg", result.kind == KeyKind::subgroup ? kSubgroupAlgorithm : kOrdinaryAlgorithm);
  fields.expect_operation("encrypt");
  fields.ignore_text("kid");
  result.modulus = fields.number("n");
  fields.expect_end();
  return result;
}

void check_fingerprint(const std::optional<std::string>& expected, const PublicKey& key) {
  if (expected && *expected != to_hex(key.fingerprint())) {
    throw InputError("key.fingerprint", "the fingerprint in the key file is not that of the key");
  }
}

/// λ must be a multiple of p−1 and q−1, and μ its inverse modulo N.
void check_lambda_mu(const PrivateKey& key, const SecretMpz& lambda, const SecretMpz& mu) {
  const SecretMpz p(key.p());
  const SecretMpz q(key.q());
  const SecretMpz modulus(key.public_key().modulus());
  SecretMpz work;
  bool fits = lambda.bit_length() > 0;
  mpz_sub_ui(work, p, 1);
  fits = fits && mpz_divisible_p(lambda, work) != 0;
  mpz_sub_ui(work, q, 1);
  fits = fits && mpz_divisible_p(lambda, work) != 0;
  if (!fits) throw InputError("key.mismatch", "\"lambda\" of the private key does not belong to its primes");
  mpz_mul(work, lambda, mu);
  mpz_fdiv_r(work, work, modulus);
  if (mpz_cmp_ui(work, 1) != 0) {
    throw InputError("key.mismatch", "\"mu\" of the private key is not the inverse of \"lambda\" modulo N");
  }
}

void append_field(std::string& out, const char* name, const std::string& value) {
  out.append("\"").append(name).append("\": \"").append(value).append("\"");
}

void append_number(std::string& out, const char* name, ByteView number) {
  while (!number.empty() && number.front() == 0) number = number.subspan(1);
  std::string encoded = to_base64url(number);
  append_field(out, name, encoded);
  wipe(encoded);
}

void append_public(std::string& out, const PublicKey& key, const std::string& indent) {
  const bool ordinary = key.kind() == KeyKind::ordinary;
  const std::string fingerprint = to_hex(key.fingerprint());
  const std::string separator = ",\n" + indent + "  ";
  out.append("{\n" + indent + "  ");
  append_field(out, "kty", kKeyType);
  append_field(out.append(separator), "alg", ordinary ? kOrdinaryAlgorithm : kSubgroupAlgorithm);
  out.append(separator + "\"key_ops\": [\"encrypt\"]");
  append_field(out.append(separator), "kid",
               "Popcorn " + std::to_string(key.bits()) + "-bit key " + fingerprint.substr(0, 16));
  append_number(out.append(separator), "n", key.modulus());
  const unsigned version = key.proof().empty() ? kPopcornVersion : kProofVersion;
  out.append(separator + "\"popcorn\": {\"version\": " + std::to_string(version) + ", ");
  append_field(out, "kind", ordinary ? "ordinary" : "subgroup");
  append_field(out.append(", "), "fingerprint", fingerprint);
  if (!ordinary) append_number(out.append(", "), "generator", key.generator());
  if (!key.proof().empty()) append_field(out.append(", "), "proof", to_base64url(key.proof()));
  out.append("}\n" + indent + "}");
}

}  // namespace

PublicKey PublicKey::from_json(std::string_view text, KeySizePolicy policy, ProofPolicy proof_policy) {
  const json value = parse_object(text);
  const PublicFields fields = read_public(Fields(value, ""));
  if (fields.proof.empty() && proof_policy == ProofPolicy::required) refuse_key_without_proof();
  PublicKey key = fields.kind == KeyKind::subgroup
                      ? from_subgroup(fields.modulus.view(), fields.generator.view(), policy)
                      : from_modulus(fields.modulus.view(), policy);
  check_fingerprint(fields.fingerprint, key);
  if (!fields.proof.empty()) key.take_proof(fields.proof);
  return key;
}

std::string PublicKey::to_json() const {
  std::string out;
  append_public(out, *this, "");
  out.append("\n");
  return out;
}

PrivateKey PrivateKey::from_json(std::string_view text, KeySizePolicy policy) {
  const WipedJson parsed(text);
  Fields fields(parsed.value, "");
  if (fields.has("n") && !fields.has("pub")) {
    throw InputError("key.field",
                     "this is a public key (the field \"pub\" is missing); a private key was expected");
  }
  const PublicFields pub = read_public(fields.object("pub"));
  fields.expect_text("kty", kKeyType);
  fields.expect_optional_text("alg", pub.kind == KeyKind::subgroup ? kSubgroupAlgorithm : kOrdinaryAlgorithm);
  fields.expect_operation("decrypt");
  fields.ignore_text("kid");

  SecretBytes p_order;
  SecretBytes q_order;
  if (fields.has("popcorn") || pub.kind == KeyKind::subgroup) {
    Fields own = fields.object("popcorn");
    own.version(kPopcornVersion);
    if (own.kind() != pub.kind) refuse_field("popcorn.kind", "is not that of the public part");
    if (pub.kind == KeyKind::subgroup) {
      p_order = own.number("p_order");
      q_order = own.number("q_order");
    }
    own.expect_end();
  }
  const bool has_primes = fields.has("p") || fields.has("q");
  const bool has_lambda = fields.has("lambda") || fields.has("mu") || !has_primes;
  const SecretMpz lambda(has_lambda ? fields.number("lambda").view() : ByteView());
  const SecretMpz mu(has_lambda ? fields.number("mu").view() : ByteView());
  SecretBytes p = has_primes ? fields.number("p") : SecretBytes();
  SecretBytes q = has_primes ? fields.number("q") : SecretBytes();
  fields.expect_end();

  const SecretMpz modulus(pub.modulus.view());
  if (!has_primes) {
    check_modulus(modulus, policy);
    const Factors factors = factor_with_lambda(modulus, lambda);
    p = to_minimal_bytes(factors.p);
    q = to_minimal_bytes(factors.q);
  }
  PrivateKey key = pub.kind == KeyKind::subgroup
                       ? unproved_subgroup(p.view(), q.view(), p_order.view(), q_order.view(),
                                           pub.generator.view(), policy)
                       : unproved(p.view(), q.view(), policy);
  if (mpz_cmp(modulus, SecretMpz(key.public_key().modulus())) != 0) {
    throw InputError("key.mismatch", "\"pub.n\" of the private key is not the product of its primes");
  }
  check_fingerprint(pub.fingerprint, key.public_key());
  if (has_lambda) check_lambda_mu(key, lambda, mu);
  if (pub.proof.empty()) {
    key.make_proof();
  } else {
    key.public_key_.take_proof(pub.proof);
  }
  return key;
}

std::string PrivateKey::to_json() const {
  SecretMpz lambda;
  SecretMpz mu;
  mpz_sub_ui(lambda, SecretMpz(p()), 1);
  mpz_sub_ui(mu, SecretMpz(q()), 1);
  mpz_mul(lambda, lambda, mu);
  mpz_invert(mu, lambda, SecretMpz(public_key_.modulus()));

  std::string out;
  out.reserve(kMaxKeyFileBytes);  // one allocation: growing would leave copies of the secrets behind
  const bool ordinary = public_key_.kind() == KeyKind::ordinary;
  out.append("{\n  ");
  append_field(out, "kty", kKeyType);
  out.append(",\n  \"key_ops\": [\"decrypt\"]");
  append_field(out.append(",\n  "), "kid",
               "Popcorn " + std::to_string(public_key_.bits()) + "-bit private key " +
                   to_hex(public_key_.fingerprint()).substr(0, 16));
  append_number(out.append(",\n  "), "p", p());
  append_number(out.append(",\n  "), "q", q());
  append_number(out.append(",\n  "), "lambda", to_minimal_bytes(lambda).view());
  append_number(out.append(",\n  "), "mu", to_minimal_bytes(mu).view());
  append_public(out.append(",\n  \"pub\": "), public_key_, "  ");
  out.append(",\n  \"popcorn\": {\"version\": " + std::to_string(kPopcornVersion) + ", ");
  append_field(out, "kind", ordinary ? "ordinary" : "subgroup");
  if (!ordinary) {
    append_number(out.append(", "), "p_order", p_order());
    append_number(out.append(", "), "q_order", q_order());
  }
  out.append("}\n}\n");
  return out;
}

}  // namespace popcorn::paillier
