// No memory that GMP gives back still holds a prime of a key.
#include <gmp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "paillier/keys/keys.h"
#include "paillier/secret_mpz.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::paillier;

namespace {

/// Looks for needles (words of secrets, in the order GMP keeps them) in every block that GMP frees or moves.
class FreedMemory {
 public:
  FreedMemory() {
    active_ = this;
    mp_get_memory_functions(&allocate_, &reallocate_, &free_);
    mp_set_memory_functions(allocate_, inspect_reallocate, inspect_free);
  }
  FreedMemory(const FreedMemory&) = delete;
  FreedMemory& operator=(const FreedMemory&) = delete;
  ~FreedMemory() {
    mp_set_memory_functions(allocate_, reallocate_, free_);
    active_ = nullptr;
  }
  void look_for(ByteView big_endian) {
    std::vector<std::uint8_t> needle(big_endian.rbegin(), big_endian.rend());
    needles_.push_back(std::move(needle));
  }
  std::size_t blocks = 0;
  std::size_t findings = 0;

 private:
  void inspect(const void* block, std::size_t size) {
    ++blocks;
    const auto* bytes = static_cast<const std::uint8_t*>(block);
    for (const auto& needle : needles_) {
      if (std::search(bytes, bytes + size, needle.begin(), needle.end()) != bytes + size) ++findings;
    }
  }
  static void* inspect_reallocate(void* block, std::size_t old_size, std::size_t new_size) {
    active_->inspect(block, old_size);
    return active_->reallocate_(block, old_size, new_size);
  }
  static void inspect_free(void* block, std::size_t size) {
    active_->inspect(block, size);
    active_->free_(block, size);
  }

  static FreedMemory* active_;
  void* (*allocate_)(std::size_t) = nullptr;
  void* (*reallocate_)(void*, std::size_t, std::size_t) = nullptr;
  void (*free_)(void*, std::size_t) = nullptr;
  std::vector<std::vector<std::uint8_t>> needles_;
};

FreedMemory* FreedMemory::active_ = nullptr;

}  // namespace

TEST_CASE("the search for secrets in freed memory finds one that was not wiped", "[paillier][keys]") {
  test::SeededRng rng(1);
  Bytes secret(64);
  rng.fill(secret);
  FreedMemory freed;
  freed.look_for(secret);
  { const SecretMpz wiped{ByteView(secret)}; }
  REQUIRE(freed.blocks == 1);
  REQUIRE(freed.findings == 0);
  mpz_t plain;
  mpz_init(plain);
  mpz_import(plain, secret.size(), 1, 1, 1, 0, secret.data());
  mpz_clear(plain);
  REQUIRE(freed.findings == 1);
}

TEST_CASE("making, reading and writing a key leaves no prime in freed memory", "[paillier][keys]") {
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;
    test::SeededRng rng(7);
    const PrivateKey known = PrivateKey::generate(1024, kind, kTest, rng);
    FreedMemory freed;
    freed.look_for(known.p());
    freed.look_for(known.q());
    if (kind == KeyKind::subgroup) {
      freed.look_for(known.p_order());
      freed.look_for(known.q_order());
    }
    test::SeededRng again(7);
    {
      const PrivateKey key = PrivateKey::generate(1024, kind, kTest, again);
      REQUIRE(key.public_key() == known.public_key());
      REQUIRE(PrivateKey::from_json(key.to_json(), kTest).public_key() == known.public_key());
    }
    CHECK(freed.blocks > 20);
    REQUIRE(freed.findings == 0);
  }
}
