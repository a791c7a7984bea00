// The oracle itself, against answers computed independently of GMP and C++.
#include "tests/support/textbook_paillier.h"

#include <catch2/catch.hpp>

#include "tests/paillier/known_answers.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using test::bytes_of;
using test::text_of;
using test::TextbookPaillier;

TEST_CASE("the textbook oracle gives the known answers", "[paillier][textbook]") {
  const nlohmann::json answers = test::known_answers();
  REQUIRE(answers.at("keys").size() == 6);
  for (const nlohmann::json& key : answers.at("keys")) {
    CAPTURE(text_of(key, "name"));
    const TextbookPaillier paillier(bytes_of(key, "p"), bytes_of(key, "q"));
    REQUIRE(paillier.modulus() == bytes_of(key, "n"));
    if (key.at("kind") == "ordinary") {
      REQUIRE(key.at("encryptions").size() == 8);
      for (const nlohmann::json& entry : key.at("encryptions")) {
        const Bytes c = paillier.encrypt(text_of(entry, "m"), bytes_of(entry, "r"));
        REQUIRE(c == bytes_of(entry, "c"));
        REQUIRE(paillier.decrypt(c) == text_of(entry, "m"));
        REQUIRE(paillier.randomness(c) == bytes_of(entry, "r"));
      }
    }
    const nlohmann::json& djn = key.at("djn");
    std::vector<Bytes> c;
    for (const nlohmann::json& entry : djn.at("encryptions")) {
      c.push_back(
          paillier.encrypt_with_generator(text_of(entry, "m"), bytes_of(djn, "h"), bytes_of(entry, "alpha")));
      REQUIRE(c.back() == bytes_of(entry, "c"));
      REQUIRE(paillier.decrypt(c.back()) == text_of(entry, "m"));
    }
    const auto operand = [&c](const nlohmann::json& entry, const char* field) {
      return c.at(entry.at(field));
    };
    const auto check = [&](const Bytes& result, const nlohmann::json& entry) {
      REQUIRE(result == bytes_of(entry, "c"));
      REQUIRE(paillier.decrypt(result) == text_of(entry, "m"));
    };
    for (const auto& entry : key.at("sums"))
      check(paillier.add(operand(entry, "a"), operand(entry, "b")), entry);
    for (const auto& entry : key.at("differences")) {
      check(paillier.subtract(operand(entry, "a"), operand(entry, "b")), entry);
    }
    for (const auto& entry : key.at("plain_sums")) {
      check(paillier.add_plain(operand(entry, "a"), text_of(entry, "k")), entry);
    }
    for (const auto& entry : key.at("products")) {
      check(paillier.multiply(operand(entry, "a"), text_of(entry, "k")), entry);
    }
    for (const auto& entry : key.at("decryptions")) {
      REQUIRE(paillier.decrypt(bytes_of(entry, "c")) == text_of(entry, "m"));
    }
  }
}

TEST_CASE("the textbook oracle is homomorphic on random values", "[paillier][textbook]") {
  test::SeededRng rng(11);
  const nlohmann::json key = test::known_answers().at("keys").at(0);
  const TextbookPaillier paillier(bytes_of(key, "p"), bytes_of(key, "q"));
  for (int i = 0; i < 50; ++i) {
    const std::int64_t a = rng.between(-1'000'000, 1'000'000);
    const std::int64_t b = rng.between(-1'000'000, 1'000'000);
    const Bytes x = paillier.encrypt(std::to_string(a), rng);
    const Bytes y = paillier.encrypt(std::to_string(b), rng);
    REQUIRE(x.size() == paillier.ciphertext_bytes());
    REQUIRE(paillier.decrypt(paillier.add(x, y)) == std::to_string(a + b));
    REQUIRE(paillier.decrypt(paillier.subtract(x, y)) == std::to_string(a - b));
    REQUIRE(paillier.decrypt(paillier.add_plain(x, std::to_string(b))) == std::to_string(a + b));
    REQUIRE(paillier.decrypt(paillier.multiply(x, std::to_string(b))) == std::to_string(a * b));
    REQUIRE(paillier.encrypt(std::to_string(a), rng) != x);
  }
}
