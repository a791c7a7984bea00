#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "paillier/keys/keys.h"
#include "tests/paillier/big_integer.h"
#include "tests/paillier/expect_error.h"
#include "tests/paillier/known_answers.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::paillier;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::BigInteger;
using test::bytes_of;
using test::expect_error;

namespace {

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;

Bytes copy(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

std::string number(const BigInteger& value) {
  return to_base64url(value.bytes());
}

PrivateKey test_key(KeyKind kind) {
  test::SeededRng rng(kind == KeyKind::ordinary ? 1 : 2);
  return PrivateKey::generate(256, kind, kTest, rng);
}

void refuse_public(const json& value, const std::string& code, const std::string& reason) {
  CAPTURE(value.dump());
  REQUIRE_THAT(expect_error(code, [&] { PublicKey::from_json(value.dump(), kTest); }), Contains(reason));
}

void refuse_private(const json& value, const std::string& code, const std::string& reason) {
  CAPTURE(value.dump());
  REQUIRE_THAT(expect_error(code, [&] { PrivateKey::from_json(value.dump(), kTest); }), Contains(reason));
}

/// Each field replaced by a value of each wrong type, and one that nobody knows added, at every level of
/// `value`.
void check_fields(const json& value, const std::function<void(const json&, const std::string&)>& refuse) {
  std::vector<json::json_pointer> objects = {json::json_pointer()};
  for (std::size_t i = 0; i < objects.size(); ++i) {
    for (const auto& item : value.at(objects[i]).items()) {
      const json::json_pointer path = objects[i] / item.key();
      if (item.value().is_object()) objects.push_back(path);
      for (const json& wrong : {json(), json(-1), json(2.5), json::array(), json(true)}) {
        json changed = value;
        changed[path] = wrong;
        refuse(changed, item.key());
      }
      if (!item.value().is_object()) {
        json changed = value;
        changed[path] = json::object();
        refuse(changed, item.key());
      }
    }
    json changed = value;
    changed[objects[i] / "x5u"] = "surprise";
    refuse(changed, "x5u");
  }
}

}  // namespace

TEST_CASE("python-paillier's keys are read", "[paillier][keys][json]") {
  const json answers = test::known_answers("jwk.json");
  REQUIRE(answers.at("keys").size() == 3);
  for (const json& key : answers.at("keys")) {
    CAPTURE(test::text_of(key, "name"));
    const BigInteger p(bytes_of(key, "p"));
    const BigInteger q(bytes_of(key, "q"));
    const PublicKey pub = PublicKey::from_json(key.at("public").dump(), kTest);
    REQUIRE(pub.bits() == key.at("bits"));
    REQUIRE(pub.kind() == KeyKind::ordinary);
    REQUIRE(BigInteger(pub.modulus()) == p * q);
    for (const char* form : {"private_lambda_mu", "private_primes"}) {
      CAPTURE(form);
      const PrivateKey own = PrivateKey::from_json(key.at(form).dump(), kTest);
      REQUIRE(own.public_key() == pub);
      REQUIRE(std::min(copy(own.p()), copy(own.q())) == std::min(p, q).bytes());
      REQUIRE(std::max(copy(own.p()), copy(own.q())) == std::max(p, q).bytes());
      // What we write has the fields that python-paillier reads, old and new.
      const json written = json::parse(own.to_json());
      REQUIRE(written.at("lambda") == key.at("private_lambda_mu").at("lambda"));
      REQUIRE(written.at("mu") == key.at("private_lambda_mu").at("mu"));
      REQUIRE(written.at("kty") == "DAJ");
      REQUIRE(written.at("key_ops") == json({"decrypt"}));
      for (const char* field : {"kty", "alg", "key_ops", "n"}) {
        REQUIRE(written.at("pub").at(field) == key.at("public").at(field));
      }
    }
  }
}

TEST_CASE("lambda may be any multiple of lcm(p-1, q-1)", "[paillier][keys][json]") {
  const PrivateKey key = test_key(KeyKind::ordinary);
  const BigInteger p(key.p());
  const BigInteger q(key.q());
  json value = json::parse(key.to_json());
  value.erase("p");
  value.erase("q");
  for (const BigInteger& lambda : {(p - 1) * (q - 1), lcm(p - 1, q - 1), lcm(p - 1, q - 1) * 12345}) {
    value["lambda"] = number(lambda);
    value["mu"] = number(inverse(lambda, p * q));
    REQUIRE(PrivateKey::from_json(value.dump(), kTest).public_key() == key.public_key());
  }
  for (const BigInteger& lambda : {BigInteger(2), p - 1, (p - 1) * (q - 1) + 2, p * q - 1, (p - 1) / 2}) {
    value["lambda"] = number(lambda);
    value["mu"] = number(inverse(lambda, p * q));
    refuse_private(value, "key.mismatch", "lambda");
  }
  value["lambda"] = "AA";
  refuse_private(value, "key.mismatch", "lambda");
}

TEST_CASE("a field that is missing, damaged or unknown is named", "[paillier][keys][json]") {
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    const PrivateKey key = test_key(kind);
    const json pub = json::parse(key.public_key().to_json());
    const json own = json::parse(key.to_json());
    const auto expect_named = [](const auto& read, const json& value, const std::string& field) {
      CAPTURE(value.dump(), field);
      try {
        read(value.dump());
        FAIL("accepted");
      } catch (const InputError& error) {
        REQUIRE_THAT(error.code(), Contains(field == "version" ? "key.version" : "key.field"));
        REQUIRE_THAT(error.what(), Contains(field));
      }
    };
    check_fields(pub, [&](const json& value, const std::string& field) {
      expect_named([](const std::string& text) { PublicKey::from_json(text, kTest); }, value, field);
    });
    check_fields(own, [&](const json& value, const std::string& field) {
      expect_named([](const std::string& text) { PrivateKey::from_json(text, kTest); }, value, field);
    });

    for (const char* field : {"kty", "alg", "n"}) {
      json value = pub;
      value.erase(field);
      refuse_public(value, "key.field", field);
    }
    for (const char* field : {"version", "kind", "fingerprint", "proof"}) {
      json value = pub;
      value["popcorn"].erase(field);
      refuse_public(value, "key.field", std::string("popcorn.") + field);
      value = own;
      value["pub"]["popcorn"].erase(field);
      refuse_private(value, "key.field", std::string("pub.popcorn.") + field);
    }
    for (const char* field : {"kty", "p", "q", "lambda", "mu", "pub"}) {
      json value = own;
      value.erase(field);
      refuse_private(value, "key.field", field);
    }
    for (const char* field : {"n", "p", "q", "lambda", "mu"}) {
      const bool is_public = field[0] == 'n';
      for (const std::string& wrong :
           {std::string(), std::string("A"), std::string("AA=="), std::string("A+/A"), std::string("ABC DEF"),
            std::string(100000 / 2, 'A')}) {
        json value = is_public ? pub : own;
        value[field] = wrong;
        is_public ? refuse_public(value, "key.field", field) : refuse_private(value, "key.field", field);
      }
    }
  }
}

TEST_CASE("values that contradict each other are refused", "[paillier][keys][json]") {
  const PrivateKey key = test_key(KeyKind::ordinary);
  const PrivateKey subgroup = test_key(KeyKind::subgroup);
  const json pub = json::parse(key.public_key().to_json());
  const json own = json::parse(key.to_json());
  const json subgroup_pub = json::parse(subgroup.public_key().to_json());
  const json subgroup_own = json::parse(subgroup.to_json());
  const auto with = [](json value, const char* pointer, const json& replacement) {
    value[json::json_pointer(pointer)] = replacement;
    return value;
  };

  refuse_public(with(pub, "/kty", "RSA"), "key.field", "kty");
  refuse_public(with(pub, "/alg", "PAI-GN2"), "key.field", "alg");
  refuse_public(with(pub, "/alg", "PAI-SG1"), "key.field", "alg");
  refuse_public(with(pub, "/key_ops", {"decrypt"}), "key.field", "key_ops");
  refuse_public(with(pub, "/key_ops", json::array()), "key.field", "key_ops");
  refuse_public(with(pub, "/popcorn/version", 3), "key.version", "popcorn.version");
  refuse_public(with(pub, "/popcorn/version", 1), "key.field", "popcorn.proof");
  refuse_public(with(pub, "/popcorn/proof", subgroup_pub.at("popcorn").at("proof")), "key.proof", "proof");
  refuse_private(with(own, "/pub/popcorn/proof", subgroup_pub.at("popcorn").at("proof")), "key.proof",
                 "proof");
  refuse_private(with(own, "/popcorn/version", 2), "key.version", "popcorn.version");
  refuse_public(with(pub, "/popcorn/kind", "special"), "key.field", "popcorn.kind");
  refuse_public(with(pub, "/popcorn/kind", "subgroup"), "key.field", "popcorn.generator");
  refuse_public(with(pub, "/n", subgroup_pub.at("n")), "key.fingerprint", "fingerprint");
  // A subgroup key must not be taken for one that python-paillier could encrypt with.
  refuse_public(with(subgroup_pub, "/alg", "PAI-GN1"), "key.field", "alg");
  refuse_public(with(subgroup_pub, "/popcorn/kind", "ordinary"), "key.field", "generator");
  refuse_public(with(subgroup_pub, "/popcorn/generator", "AQ"), "key.generator", "between");

  const std::string fingerprint = pub.at("popcorn").at("fingerprint");
  REQUIRE(fingerprint == to_hex(key.public_key().fingerprint()));
  std::string upper = fingerprint;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const std::string& wrong : {fingerprint.substr(1), fingerprint + "0", fingerprint + fingerprint,
                                   std::string(64, '0'), std::string("zz"), std::string(), upper}) {
    refuse_public(with(pub, "/popcorn/fingerprint", wrong), "key.fingerprint", "fingerprint");
    refuse_private(with(own, "/pub/popcorn/fingerprint", wrong), "key.fingerprint", "fingerprint");
  }

  test::SeededRng rng(3);
  const PrivateKey other = PrivateKey::generate(256, KeyKind::ordinary, kTest, rng);
  const json other_own = json::parse(other.to_json());
  refuse_private(with(own, "/p", other_own.at("p")), "key.mismatch", "pub.n");
  refuse_private(with(own, "/pub", other_own.at("pub")), "key.mismatch", "pub.n");
  refuse_private(with(own, "/lambda", other_own.at("lambda")), "key.mismatch", "lambda");
  refuse_private(with(own, "/lambda", "AA"), "key.mismatch", "lambda");
  refuse_private(with(own, "/mu", other_own.at("mu")), "key.mismatch", "mu");
  refuse_private(with(own, "/alg", "PAI-SG1"), "key.field", "alg");
  refuse_private(with(own, "/key_ops", {"encrypt"}), "key.field", "key_ops");
  refuse_private(with(own, "/popcorn/kind", "subgroup"), "key.field", "popcorn.kind");
  refuse_private(with(own, "/popcorn/p_order", "AQ"), "key.field", "p_order");
  refuse_private(with(subgroup_own, "/popcorn/p_order", subgroup_own.at("popcorn").at("q_order")),
                 "key.order", "divide");
  json value = subgroup_own;
  value.erase("popcorn");
  refuse_private(value, "key.field", "popcorn");
}

TEST_CASE("public and private keys are not taken for each other", "[paillier][keys][json]") {
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    const PrivateKey key = test_key(kind);
    refuse_public(json::parse(key.to_json()), "key.field", "private key");
    refuse_private(json::parse(key.public_key().to_json()), "key.field", "public key");
  }
}

TEST_CASE("text that is no JSON object is refused", "[paillier][keys][json]") {
  const PrivateKey key = test_key(KeyKind::ordinary);
  const std::string pub = key.public_key().to_json();
  const std::string own = key.to_json();
  const auto refuse = [](const std::string& text, const std::string& code) {
    CAPTURE(text.substr(0, 200));
    expect_error(code, [&] { PublicKey::from_json(text, kTest); });
    expect_error(code, [&] { PrivateKey::from_json(text, kTest); });
  };
  for (const char* text :
       {"", " ", "[]", "1", "null", "\"DAJ\"", "{", "{}}", "{\"n\":}", "{'n': 1}", "\xff\xfe{}"}) {
    refuse(text, "key.json");
  }
  refuse("{}", "key.field");
  refuse("{\"n\": 1, \"n\": 1}", "key.field");
  refuse("{\"pub\": {\"n\": 1, \"kty\": 1, \"n\": 1}}", "key.field");
  refuse(std::string(1000, '[') + std::string(1000, ']'), "key.json");
  std::string nested;
  for (int i = 0; i < 1000; ++i) nested += "{\"popcorn\":";
  refuse(nested, "key.json");
  refuse(pub + pub, "key.json");
  refuse(pub + "x", "key.json");
  refuse(pub + std::string(kMaxKeyFileBytes, ' '), "key.json");
  REQUIRE_NOTHROW(PublicKey::from_json("\n\t " + pub + std::string(1000, ' '), kTest));

  const std::string secret = json::parse(own).at("p").get<std::string>().substr(0, 8);
  for (std::size_t size = 0; size + 2 < own.size(); ++size) {
    const std::string message =
        expect_error("key.json", [&] { PrivateKey::from_json(own.substr(0, size), kTest); });
    REQUIRE_THAT(message, !Contains(secret));
    if (size + 2 < pub.size())
      expect_error("key.json", [&] { PublicKey::from_json(pub.substr(0, size), kTest); });
  }
}

TEST_CASE("a strange field name is quoted in plain characters", "[paillier][keys][json]") {
  const json pub = json::parse(test_key(KeyKind::ordinary).public_key().to_json());
  for (const std::string& name :
       {std::string("\x1b[2J"), std::string("zeile\nzwei"), std::string("\xc3\xbc\xe2\x82\xac"),
        std::string(1000, 'x'), std::string("nul\0l", 5)}) {
    json value = pub;
    value[name] = 1;
    const std::string message = expect_error("key.field", [&] { PublicKey::from_json(value.dump(), kTest); });
    REQUIRE(message.size() < 120);
    REQUIRE(std::ranges::all_of(message, [](char c) { return c >= 0x20 && c <= 0x7e; }));
  }
}

TEST_CASE("a private key's JSON survives no flipped bit unnoticed", "[paillier][keys][json]") {
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    const PrivateKey key = test_key(kind);
    const std::string text = key.to_json();
    test::SeededRng rng(4);
    int accepted = 0;
    int refused = 0;
    for (int i = 0; i < 400; ++i) {
      std::string damaged = text;
      damaged[rng.below(text.size())] ^= static_cast<char>(1 << rng.below(8));
      std::string read = text;
      try {
        read = PrivateKey::from_json(damaged, kTest).to_json();
        ++accepted;
      } catch (const InputError&) {
        ++refused;
      }
      REQUIRE(read == text);  // what is still read (a changed "kid" or white space) is the same key
    }
    REQUIRE(accepted > 0);
    REQUIRE(refused > 200);
  }
}
