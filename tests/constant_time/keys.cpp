// Encrypts and decrypts as the owner of a key with everything secret marked as undefined memory: the key's
// primes and exponents with all that is computed from them, the randomness, the plaintexts. Under Valgrind's
// memcheck every branch and every address that depends on one is an error. Started by
// scripts/constant-time-test.
//
// What happens once a key (its generation, its proof, KeyOwner's constructor) runs before the marks.
#include <valgrind/memcheck.h>

#include <cstdio>

#include "base/secret.h"
#include "base/wide_vector.h"
#include "paillier/keys/key_owner.h"

namespace popcorn::paillier {
namespace {

constexpr unsigned kBits = 1024;  // what depends on the size is the number of words, not the code that runs

/// What it draws is secret once `secret` is set.
class MarkingRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    system_rng().fill(out);
    if (secret) POPCORN_SECRET_BYTES(out.data(), out.size());
  }
  bool secret = false;
};

WideVector plaintexts() {
  WideVector values(6, 2);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values.set_int64(i, static_cast<std::int64_t>(i) * 1000003 - 2500000);
    values[i][1] ^= i << 40U;
  }
  return values;
}

/// Of one word: whether memcheck holds any bit of it for undefined. Asking is no error.
bool is_secret([[maybe_unused]] const std::uint64_t& word) {
  std::uint64_t undefined = 0;
  return VALGRIND_GET_VBITS(&word, &undefined, sizeof word) == 1 && undefined != 0;
}

bool right(KeyKind kind) {
  MarkingRng rng;
  const KeyOwner owner(PrivateKey::generate(kBits, kind, KeySizePolicy::insecure_test), rng);
  rng.secret = true;
  const WideVector expected = plaintexts();
  WideVector values = expected;
  POPCORN_SECRET_BYTES(values.words().data(), values.words().size_bytes());
  Bytes ciphertexts;
  owner.encrypt(values, ciphertexts);  // with randomness of its own
  owner.prepare(values.size());
  owner.encrypt(values, ciphertexts);  // with prepared randomness
  const WideVector opened = owner.decrypt(ciphertexts, 2 * values.size(), values.limbs());
  if (RUNNING_ON_VALGRIND != 0 && !is_secret(opened[0][0])) {
    std::puts("the plaintexts are not seen as secrets: the marks are lost on the way");
    return false;
  }
  POPCORN_DECLASSIFY_BYTES(opened.words().data(), opened.words().size_bytes());  // to compare them here
  bool same = true;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    const auto want = expected[i % expected.size()];
    same = same && opened[i][0] == want[0] && opened[i][1] == want[1];
  }
  return same;
}

}  // namespace
}  // namespace popcorn::paillier

int main() {
  using popcorn::paillier::KeyKind;
  const bool right =
      popcorn::paillier::right(KeyKind::ordinary) && popcorn::paillier::right(KeyKind::subgroup);
  std::puts(right ? "right" : "WRONG");
  return right ? 0 : 1;
}
