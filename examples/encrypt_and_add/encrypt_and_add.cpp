// encrypt_and_add: somebody adds numbers that only the owner of the key can read.
#include <base/error.h>
#include <paillier/evaluator.h>
#include <paillier/keys/key_owner.h>

#include <array>
#include <iostream>

namespace {

using popcorn::Bytes;
using popcorn::WideVector;
namespace paillier = popcorn::paillier;

/// Whoever adds has the public key alone: [x] and [y] come in, [x + 10·y + 1] goes out.
Bytes add_blindly(const paillier::PublicKey& key, const Bytes& x, const Bytes& y, std::size_t count) {
  const paillier::Evaluator evaluator(paillier::PublicContext::create(key));
  const auto tens = evaluator.scalar_multiply_public(evaluator.parse(y, count), 10);
  auto sum = evaluator.add(evaluator.parse(x, count), tens);
  const std::array<std::int64_t, 3> ones = {1, 1, 1};
  evaluator.add_plain_inplace(sum, WideVector::from_int64(ones));
  evaluator.rerandomise_inplace(sum);  // otherwise the owner could see how the sum was made
  Bytes wire;
  evaluator.serialise(sum, wire);
  return wire;
}

}  // namespace

int main() try {
  const std::array<std::int64_t, 3> a = {1, -2, 1'000'000};
  const std::array<std::int64_t, 3> b = {4, 5, -6};
  const paillier::KeyOwner owner(paillier::PrivateKey::generate(2048));
  Bytes x, y;
  owner.encrypt(WideVector::from_int64(a), x);
  owner.encrypt(WideVector::from_int64(b), y);

  const Bytes sum = add_blindly(owner.public_key(), x, y, a.size());

  const WideVector result = owner.decrypt(sum, a.size(), 1);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::cout << a[i] << " + 10 * " << b[i] << " + 1 = " << result.to_decimal(i) << '\n';
    if (result.to_int64(i) != a[i] + 10 * b[i] + 1) return 1;
  }
} catch (const popcorn::Error& error) {
  std::cerr << error.what() << " [" << error.code() << "]\n";
  return error.exit_code();
}
