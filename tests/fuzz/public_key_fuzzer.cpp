// PublicKey::parse: refuses with an InputError, or gives a key whose binary and JSON forms are its own.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "paillier/keys/keys.h"
#include "tests/support/seeded_rng.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace popcorn;
using namespace popcorn::paillier;

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;

void require(bool condition) {
  if (!condition) std::abort();
}

/// A valid key to start from: random bytes would hardly ever pass the first checks.
const Bytes& example(KeyKind kind) {
  static const auto make = [](KeyKind wanted) {
    test::SeededRng rng(1);
    return PrivateKey::generate(256, wanted, kTest, rng).public_key().serialise();
  };
  static const Bytes ordinary = make(KeyKind::ordinary);
  static const Bytes subgroup = make(KeyKind::subgroup);
  return kind == KeyKind::ordinary ? ordinary : subgroup;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView wire(data, size);
  try {
    const PublicKey key = PublicKey::parse(wire, kTest);
    require(std::ranges::equal(key.serialise(), wire));
    require(wire.size() == 12 + key.modulus().size() + key.generator().size() + key.proof().size());
    require(key.proof().empty() == (wire[4] == 1));
    require(PublicKey::from_json(key.to_json(), kTest) == key);
  } catch (const InputError& error) {
    require(error.code().starts_with("key."));
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  const Bytes& fresh = example(seed % 2 == 0 ? KeyKind::ordinary : KeyKind::subgroup);
  if (seed % 16 < 2 && fresh.size() <= max_size) {
    std::ranges::copy(fresh, data);
    size = fresh.size();
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
