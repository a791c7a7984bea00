#include "paillier/weighted_sum/factored_batch.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/parallel.h"
#include "paillier/inversion.h"
#include "paillier/kernels/modulus.h"

namespace popcorn::paillier {

using kernels::GroupBuffer;
using kernels::Modulus;

namespace {

/// Groups that share a running product; long enough that its inversion does not count.
constexpr std::size_t kChunk = 128;

/// Arithmetic modulo N on single digits, u or w of groups, in Montgomery's form.
class DigitField {
 public:
  explicit DigitField(const Modulus& modulus) : modulus_(modulus), words_(modulus.group_words() / 2) {}

  std::size_t words() const { return words_; }

  /// r = a·b.
  void multiply(std::uint64_t* r, const std::uint64_t* a, const std::uint64_t* b) const {
    modulus_.kernel().sum_of_products(modulus_.view(), r, a, b, nullptr, nullptr);
  }
  void copy(std::uint64_t* r, const std::uint64_t* a) const {
    std::memcpy(r, a, words_ * sizeof(std::uint64_t));
  }

 private:
  const Modulus& modulus_;
  std::size_t words_;
};

class Factoring {
 public:
  Factoring(const CiphertextBatch& x, const BigInteger& n, bool with_inverses)
      : x_(x), n_(n), modulus_(x.modulus()), field_(x.modulus()), group_(modulus_.group_words()) {
    result_.units = CiphertextBatch(x.shared_modulus(), x.size());
    if (with_inverses) result_.inverses = CiphertextBatch(x.shared_modulus(), x.size());
  }

  FactoredBatch run() {
    const std::size_t chunks = (x_.groups() + kChunk - 1) / kChunk;
    const std::size_t limbs = modulus_.base_limbs();
    std::vector<std::uint64_t> totals(chunks * modulus_.lanes() * limbs);
    parallel_ranges(chunks, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t chunk = begin; chunk < end; ++chunk)
        multiply_chunk(chunk, totals.data() + chunk * modulus_.lanes() * limbs);
    });
    invert_values(totals.data(), chunks * modulus_.lanes(), limbs, n_);
    parallel_ranges(chunks, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t chunk = begin; chunk < end; ++chunk)
        factor_chunk(chunk, totals.data() + chunk * modulus_.lanes() * limbs);
    });
    return std::move(result_);
  }

 private:
  std::size_t chunk_end(std::size_t chunk) const { return std::min((chunk + 1) * kChunk, x_.groups()); }

  /// u of the group of `units` ← the product of u of the groups of its chunk up to it; the last one, a number
  /// modulo N a lane, into `total`.
  void multiply_chunk(std::size_t chunk, std::uint64_t* total) {
    const std::size_t first = chunk * kChunk;
    const std::size_t last = chunk_end(chunk);
    CiphertextBatch& prefix = result_.units;
    field_.copy(prefix.group(first), x_.group(first));
    for (std::size_t g = first + 1; g < last; ++g) {
      field_.multiply(prefix.group(g), prefix.group(g - 1), x_.group(g));
    }
    GroupBuffer plain(group_);
    std::memset(plain.data(), 0, group_ * sizeof(std::uint64_t));
    field_.multiply(plain.data(), prefix.group(last - 1), modulus_.from_residue());
    const std::size_t limbs = modulus_.base_limbs();
    std::vector<std::uint64_t> digits(modulus_.lanes() * 2 * limbs);
    modulus_.store_digits(digits.data(), plain.data());
    for (std::size_t lane = 0; lane < modulus_.lanes(); ++lane)
      std::copy_n(digits.data() + 2 * lane * limbs, limbs, total + lane * limbs);
  }

  void factor_chunk(std::size_t chunk, const std::uint64_t* inverse_of_total) {
    const std::size_t first = chunk * kChunk;
    const std::size_t limbs = modulus_.base_limbs();
    std::vector<std::uint64_t> digits(modulus_.lanes() * 2 * limbs);
    for (std::size_t lane = 0; lane < modulus_.lanes(); ++lane)
      std::copy_n(inverse_of_total + lane * limbs, limbs, digits.data() + 2 * lane * limbs);
    GroupBuffer running(group_);
    GroupBuffer inverse(group_);
    GroupBuffer product(group_);
    modulus_.load(running.data(), digits.data());
    field_.multiply(running.data(), running.data(), modulus_.to_residue());
    for (std::size_t g = chunk_end(chunk); g-- > first;) {
      if (g > first) {
        field_.multiply(inverse.data(), running.data(), result_.units.group(g - 1));
        field_.multiply(running.data(), running.data(), x_.group(g));
      } else {
        field_.copy(inverse.data(), running.data());
      }
      factor(g, inverse.data(), product.data());
    }
  }

  /// @param inverse u⁻¹·R² modulo N
  void factor(std::size_t g, const std::uint64_t* inverse, std::uint64_t* product) {
    const std::size_t w = field_.words();
    std::uint64_t* const unit = result_.units.group(g);
    field_.copy(unit, x_.group(g));
    field_.multiply(unit + w, x_.group(g) + w, inverse);  // w/u·R
    if (result_.inverses.empty()) return;
    // û·v̂ = 1 + N·κ for the unit v̂ of the inverse, so that x⁻¹ = v̂·(1 − N·(λ + κ)).
    const kernels::Kernel& kernel = modulus_.kernel();
    kernel.multiply_units(modulus_.view(), product, unit, inverse);
    std::uint64_t* const result = result_.inverses.group(g);
    field_.copy(result, inverse);
    kernel.invert_logarithm(modulus_.view(), result, unit, product);
  }

  const CiphertextBatch& x_;
  const BigInteger& n_;
  const Modulus& modulus_;
  const DigitField field_;
  std::size_t group_;
  FactoredBatch result_;
};

}  // namespace

FactoredBatch factor_batch(const CiphertextBatch& x, const BigInteger& n, bool with_inverses) {
  if (x.empty()) return {};
  return Factoring(x, n, with_inverses).run();
}

}  // namespace popcorn::paillier
