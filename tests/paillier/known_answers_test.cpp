// Evaluator and KeyOwner against answers computed independently.
#include "tests/paillier/known_answers.h"

#include <catch2/catch.hpp>

#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"

using namespace popcorn;
using namespace popcorn::paillier;
using nlohmann::json;
using test::bytes_of;
using test::text_of;

namespace {

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;

PrivateKey key_of(const json& key) {
  if (key.at("kind") == "ordinary")
    return PrivateKey::from_primes(bytes_of(key, "p"), bytes_of(key, "q"), kTest);
  return PrivateKey::from_subgroup_primes(bytes_of(key, "p"), bytes_of(key, "q"), bytes_of(key, "p_order"),
                                          bytes_of(key, "q_order"), bytes_of(key.at("djn"), "h"), kTest);
}

/// The ciphertexts of a list, one after the other, as on the wire.
Bytes ciphertexts_of(const json& list) {
  Bytes wire;
  for (const json& entry : list) {
    const Bytes c = bytes_of(entry, "c");
    wire.insert(wire.end(), c.begin(), c.end());
  }
  return wire;
}

WideVector integers_of(const json& list, const char* field, std::size_t limbs) {
  WideVector values(list.size(), limbs);
  for (std::size_t i = 0; i < list.size(); ++i) values.set_decimal(i, text_of(list[i], field));
  return values;
}

/// The operands that the entries of a list name by index.
std::vector<std::uint32_t> places_of(const json& list, const char* field) {
  std::vector<std::uint32_t> places;
  for (const json& entry : list) places.push_back(entry.at(field).get<std::uint32_t>());
  return places;
}

}  // namespace

TEST_CASE("the key owner decrypts to the known answers", "[paillier][known-answers]") {
  const json answers = test::known_answers();
  REQUIRE(answers.at("keys").size() == 6);
  for (const json& key : answers.at("keys")) {
    CAPTURE(text_of(key, "name"));
    const KeyOwner owner(key_of(key));
    REQUIRE(owner.public_key().bits() == key.at("bits"));
    const std::size_t limbs = owner.public_key().bits() / 64;
    std::vector<json> lists = {key.at("djn").at("encryptions"),
                               key.at("sums"),
                               key.at("differences"),
                               key.at("plain_sums"),
                               key.at("products"),
                               key.at("decryptions")};
    if (key.at("kind") == "ordinary") lists.push_back(key.at("encryptions"));
    for (const json& list : lists) {
      REQUIRE(owner.decrypt(ciphertexts_of(list), list.size(), limbs) == integers_of(list, "m", limbs));
    }
  }
}

TEST_CASE("the evaluator computes the known answers bit for bit", "[paillier][known-answers]") {
  const json answers = test::known_answers();
  REQUIRE(answers.at("keys").size() == 6);
  for (const json& key : answers.at("keys")) {
    CAPTURE(text_of(key, "name"));
    const PrivateKey private_key = key_of(key);
    const Evaluator evaluator(PublicContext::create(private_key.public_key()));
    const json& encryptions = key.at("djn").at("encryptions");
    const CiphertextBatch x = evaluator.parse(ciphertexts_of(encryptions), encryptions.size());
    const std::size_t limbs = private_key.public_key().bits() / 64;
    const auto check = [&](const CiphertextBatch& result, const json& list) {
      Bytes wire;
      evaluator.serialise(result, wire);
      REQUIRE(wire == ciphertexts_of(list));
    };
    check(x, encryptions);

    const json& sums = key.at("sums");
    check(evaluator.add(x.gather(places_of(sums, "a")), x.gather(places_of(sums, "b"))), sums);
    const json& differences = key.at("differences");
    check(evaluator.subtract(x.gather(places_of(differences, "a")), x.gather(places_of(differences, "b"))),
          differences);
    json plain_sums = json::array();
    for (const json& entry : key.at("plain_sums")) {  // the evaluator's plaintexts stay below 2^(|N| - 2)
      const WideVector k = integers_of(json::array({entry}), "k", limbs);
      if (k.bit_length(0) <= private_key.public_key().bits() - 2) plain_sums.push_back(entry);
    }
    REQUIRE(plain_sums.size() >= 3);
    CiphertextBatch shifted = x.gather(places_of(plain_sums, "a"));
    evaluator.add_plain_inplace(shifted, integers_of(plain_sums, "k", limbs));
    check(shifted, plain_sums);

    const json& products = key.at("products");
    const WideVector scalars = integers_of(products, "k", limbs);
    std::size_t small = 0;
    for (std::size_t i = 0; i < products.size(); ++i) {
      const std::uint32_t place = products[i].at("a").get<std::uint32_t>();
      const CiphertextBatch operand = x.gather(std::span(&place, 1));
      if (!scalars.is_negative(i)) {
        const auto bits = static_cast<unsigned>(std::max<std::size_t>(1, scalars.bit_length(i)));
        check(evaluator.scalar_multiply(operand, scalars.slice(i, 1), bits), json::array({products[i]}));
      }
      if (!scalars.fits_int64(i)) continue;
      check(evaluator.scalar_multiply_public(operand, scalars.to_int64(i)), json::array({products[i]}));
      ++small;
    }
    REQUIRE(small >= 11);
  }
}
