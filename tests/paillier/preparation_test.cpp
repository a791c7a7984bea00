// Encryption randomness that is made ahead: used once each, never twice, and the results stay right.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "paillier/once_pool.h"
#include "paillier/operation_costs.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::paillier {
namespace {

/// Counts the bytes drawn; thread-safe, as an owner's generator must be.
class CountingRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    drawn += out.size();
    system_rng().fill(out);
  }
  std::atomic<std::size_t> drawn{0};
};

PrivateKey small_key() {
  test::SeededRng rng(61);
  return PrivateKey::generate(256, KeyKind::ordinary, KeySizePolicy::insecure_test, rng);
}

/// Each ciphertext of the wire form, in hexadecimal.
std::vector<std::string> split(ByteView wire, std::size_t width) {
  std::vector<std::string> parts;
  for (; !wire.empty(); wire = wire.subspan(width)) parts.push_back(to_hex(wire.first(width)));
  return parts;
}

TEST_CASE("encryption takes prepared randomness first and draws the rest", "[preparation]") {
  CountingRng rng;
  const KeyOwner owner(small_key(), rng);
  const std::size_t width = owner.public_key().ciphertext_bytes();
  constexpr std::size_t kCount = 64;  // whole groups on every kernel
  owner.prepare(kCount);
  REQUIRE(owner.prepared() == kCount);
  std::set<std::string> seen;
  for (std::size_t round = 0; round < 3; ++round) {
    const std::size_t before = rng.drawn;
    Bytes wire;
    owner.encrypt(WideVector(kCount / 2 + 8, 1), wire);  // zeros: ciphertexts are the randomness itself
    // 40 of the 64, then 24 of 40, then none.
    REQUIRE((rng.drawn == before) == (round == 0));
    REQUIRE(owner.prepared() == (round == 0 ? 24U : 0U));
    REQUIRE(owner.decrypt(wire, kCount / 2 + 8, 1) == WideVector(kCount / 2 + 8, 1));
    for (const std::string& ciphertext : split(wire, width)) REQUIRE(seen.insert(ciphertext).second);
  }
}

TEST_CASE("threads that prepare and threads that encrypt never use a value twice", "[preparation]") {
  CountingRng rng;
  const KeyOwner owner(small_key(), rng);
  const std::size_t width = owner.public_key().ciphertext_bytes();
  constexpr std::size_t kThreads = 3;
  constexpr std::size_t kRounds = 12;
  constexpr std::size_t kCount = 25;
  std::vector<Bytes> wires(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t round = 0; round < kRounds; ++round) owner.encrypt(WideVector(kCount, 1), wires[t]);
    });
    threads.emplace_back([&] {
      for (std::size_t round = 0; round < kRounds; ++round) owner.prepare(16);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> seen;
  for (const Bytes& wire : wires) {
    for (const std::string& ciphertext : split(wire, width)) REQUIRE(seen.insert(ciphertext).second);
    REQUIRE(owner.decrypt(wire, kRounds * kCount, 1) == WideVector(kRounds * kCount, 1));
  }
}

TEST_CASE("a pool hands out each of its values once", "[preparation]") {
  OncePool<std::unique_ptr<int>> pool;
  constexpr int kValues = 4000;
  constexpr int kTakers = 4;
  std::vector<std::vector<std::unique_ptr<int>>> taken(kTakers);
  std::atomic<int> left{kValues};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 0; i < kValues; i += 4) {
      std::vector<std::unique_ptr<int>> values;
      for (int k = 0; k < 4; ++k) values.push_back(std::make_unique<int>(i + k));
      pool.put(std::move(values));
    }
  });
  for (int t = 0; t < kTakers; ++t) {
    threads.emplace_back([&, t] {
      while (left > 0) {
        auto some = pool.take(static_cast<std::size_t>(t) + 1);
        left -= static_cast<int>(some.size());
        for (auto& value : some) taken[static_cast<std::size_t>(t)].push_back(std::move(value));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(pool.size() == 0);
  std::vector<bool> seen(kValues);
  for (const auto& values : taken) {
    for (const auto& value : values) {
      REQUIRE(!seen[static_cast<std::size_t>(*value)]);
      seen[static_cast<std::size_t>(*value)] = true;
    }
  }
  REQUIRE(std::ranges::count(seen, true) == kValues);
}

TEST_CASE("re-randomisation takes prepared factors first, each once", "[preparation]") {
  CountingRng rng;
  const KeyOwner owner(small_key(), rng);
  const auto context = PublicContext::create(owner.public_key());
  const Evaluator evaluator(context, rng);
  constexpr std::size_t kCount = 64;  // whole groups on every kernel
  context->prepare(kCount);
  REQUIRE(context->prepared() == kCount);
  std::set<std::string> seen;
  for (std::size_t round = 0; round < 3; ++round) {
    CiphertextBatch zeros = evaluator.encrypt_trivial(WideVector(kCount / 2 + 8, 1));
    const std::size_t before = rng.drawn;
    const std::uint64_t counted = evaluator.counts().multiplications;
    evaluator.rerandomise_inplace(zeros);
    REQUIRE((rng.drawn == before) == (round == 0));
    REQUIRE(context->prepared() == (round == 0 ? 24U : 0U));
    REQUIRE(evaluator.counts().multiplications - counted ==
            rerandomise_cost(zeros.size(), 256, KeyKind::ordinary));
    Bytes wire;
    evaluator.serialise(zeros, wire);
    REQUIRE(owner.decrypt(wire, zeros.size(), 1) == WideVector(zeros.size(), 1));
    for (const std::string& ciphertext : split(wire, owner.public_key().ciphertext_bytes()))
      REQUIRE(seen.insert(ciphertext).second);
  }
}

}  // namespace
}  // namespace popcorn::paillier
