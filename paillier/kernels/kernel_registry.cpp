#include "paillier/kernels/kernel_registry.h"

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "paillier/big_integer.h"
#include "paillier/kernels/modulus.h"

namespace popcorn::paillier::kernels {

namespace {

#if defined(POPCORN_HAVE_AVX512IFMA)
constexpr std::array<const Kernel*, 2> kKernels = {&kAvx512Ifma, &kPortable};
#else
constexpr std::array<const Kernel*, 1> kKernels = {&kPortable};
#endif

/// A fixed pseudo-random sequence: the self-test must give the same verdict every time.
std::uint64_t next(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;  // splitmix64 [Steele, Lea, Flood 2014]
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

bool self_test_at(const Kernel& kernel, std::size_t base_limbs) {
  std::uint64_t state = base_limbs;
  const std::size_t limbs = 2 * base_limbs;  // of a number modulo N²
  std::vector<std::uint64_t> n(base_limbs);
  for (std::uint64_t& limb : n) limb = next(state);
  n.front() |= 1;
  n.back() |= std::uint64_t{1} << 63;
  const auto modulus = Modulus::create(kernel, n);
  const std::size_t lanes = kernel.lanes;
  std::vector<std::uint64_t> a(lanes * limbs);
  std::vector<std::uint64_t> b(lanes * limbs);
  for (std::uint64_t& limb : a) limb = next(state);
  for (std::uint64_t& limb : b) limb = next(state);
  for (std::size_t lane = 0; lane < lanes; ++lane) {  // below N² >= 2^(64·limbs − 2)
    a[(lane + 1) * limbs - 1] >>= 2;
    b[(lane + 1) * limbs - 1] >>= 2;
  }
  GroupBuffer x(modulus->group_words());
  GroupBuffer y(modulus->group_words());
  modulus->import_numbers(x.data(), a.data());
  modulus->import_numbers(y.data(), b.data());
  modulus->multiply(x.data(), x.data(), y.data());
  modulus->square(y.data(), y.data());
  std::vector<std::uint64_t> product(lanes * limbs);
  std::vector<std::uint64_t> square(lanes * limbs);
  modulus->export_numbers(product.data(), x.data());
  modulus->export_numbers(square.data(), y.data());

  BigInteger u;
  BigInteger v;
  BigInteger w;
  BigInteger m;
  m.set_limbs(n);
  mpz_mul(m.get(), m.get(), m.get());
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    u.set_limbs({a.data() + lane * limbs, limbs});
    v.set_limbs({b.data() + lane * limbs, limbs});
    mpz_mul(w.get(), u.get(), v.get());
    mpz_mod(w.get(), w.get(), m.get());
    if (w.limbs(limbs) != std::vector(product.begin() + static_cast<std::ptrdiff_t>(lane * limbs),
                                      product.begin() + static_cast<std::ptrdiff_t>((lane + 1) * limbs))) {
      return false;
    }
    mpz_mul(w.get(), v.get(), v.get());
    mpz_mod(w.get(), w.get(), m.get());
    if (w.limbs(limbs) != std::vector(square.begin() + static_cast<std::ptrdiff_t>(lane * limbs),
                                      square.begin() + static_cast<std::ptrdiff_t>((lane + 1) * limbs))) {
      return false;
    }
  }
  return true;
}

const Kernel& choose() {
  const char* variable = std::getenv("POPCORN_KERNEL");
  const std::string wanted = variable != nullptr && *variable != '\0' ? variable : "auto";
  for (const Kernel* kernel : kKernels) {
    if (wanted != "auto" && wanted != kernel->name) continue;
    if (!kernel->supported()) {
      if (wanted == "auto") continue;
      throw RefusedError("kernel.unsupported",
                         "POPCORN_KERNEL=" + wanted + ": this processor cannot run that kernel");
    }
    if (kernel != &kPortable && !self_test(*kernel)) {
      throw CheckError("kernel.self_test",
                       std::string("the kernel ") + kernel->name +
                           " failed its self-test; set POPCORN_KERNEL=portable to go on without it");
    }
    return *kernel;
  }
  std::string known = "auto";
  for (const Kernel* kernel : kKernels) known += std::string(", ") + kernel->name;
  throw UsageError("kernel.unknown",
                   "POPCORN_KERNEL=" + wanted + " names no kernel of this build; known are " + known);
}

}  // namespace

std::span<const Kernel* const> all() {
  return kKernels;
}

bool self_test(const Kernel& kernel) {
  for (const std::size_t limbs : {4, 16, 24, 32, 48, 64}) {
    if (!self_test_at(kernel, limbs)) return false;
  }
  return true;
}

const Kernel& active() {
  static const Kernel& chosen = choose();
  return chosen;
}

}  // namespace popcorn::paillier::kernels
