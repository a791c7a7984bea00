#include "paillier/evaluator.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/parallel.h"
#include "paillier/inversion.h"
#include "paillier/kernels/kernel_registry.h"
#include "paillier/keys/wire_integers.h"
#include "paillier/operation_costs.h"
#include "paillier/public_context_parts.h"

namespace popcorn::paillier {

using kernels::GroupBuffer;
using kernels::kMaxGroupWords;
using kernels::kMaxLanes;
using kernels::Modulus;

namespace {

/// Groups that one task takes: a few milliseconds of work.
constexpr std::size_t kGrain = 8;

using Group = std::array<std::uint64_t, kMaxGroupWords>;

/// Residues of r^N mod N² for `count` independent uniform r ∈ Z*_N. In variable time: products of their
/// powers with secret exponents hide whatever is known about the residues themselves.
std::vector<GroupBuffer> random_nth_residues(const PublicContext::Parts& parts, std::size_t count, Rng& rng) {
  const Modulus& modulus = *parts.modulus;
  const std::size_t lanes = modulus.lanes();
  const std::size_t limbs = modulus.limbs();
  const std::size_t groups = (count + lanes - 1) / lanes;
  std::vector<std::uint64_t> numbers(groups * lanes * limbs);
  for (std::size_t i = 0; i < groups * lanes; ++i) {
    BigInteger r;
    BigInteger gcd;
    do {
      r.set_random_below(parts.n, rng);
      mpz_gcd(gcd.get(), r.get(), parts.n.get());
    } while (mpz_cmp_ui(gcd.get(), 1) != 0);
    std::ranges::copy(r.limbs(limbs), numbers.begin() + static_cast<std::ptrdiff_t>(i * limbs));
  }
  parallel_ranges(groups, 1, [&](std::size_t begin, std::size_t end) {
    alignas(64) Group group;
    for (std::size_t g = begin; g < end; ++g) {
      std::uint64_t* const values = numbers.data() + g * lanes * limbs;
      modulus.import_numbers(group.data(), values);
      power_public(modulus, group.data(), group.data(), parts.n.get());
      modulus.export_numbers(values, group.data());
    }
  });
  std::vector<GroupBuffer> residues;
  BigInteger value;
  for (std::size_t i = 0; i < count; ++i) {
    value.set_limbs({numbers.data() + i * limbs, limbs});
    residues.push_back(modulus.constant(value.get()));
  }
  return residues;
}

/// h^N for the h that a subgroup key brings.
std::vector<GroupBuffer> subgroup_generator(const PublicContext::Parts& parts) {
  BigInteger h;
  h.set_bytes(parts.key.generator());
  mpz_powm(h.get(), h.get(), parts.n.get(), parts.n_squared.get());
  std::vector<GroupBuffer> generators;
  generators.push_back(parts.modulus->constant(h.get()));
  return generators;
}

/// m mod N of a plaintext in [−2^(|N| − 2), 2^(|N| − 2)), by masks; false when it lies elsewhere.
bool load_narrow(std::uint64_t* value, std::span<const std::uint64_t> words,
                 std::span<const std::uint64_t> n) {
  const std::uint64_t sign = 0 - (words.back() >> 63);
  // The top bits of the low n.size() words, and all words above, repeat the sign.
  std::uint64_t foreign = 0;
  for (std::size_t k = 0; k < n.size(); ++k) value[k] = k < words.size() ? words[k] : sign;
  for (std::size_t k = n.size(); k < words.size(); ++k) foreign |= words[k] ^ sign;
  foreign |= (value[n.size() - 1] ^ sign) >> 62;
  mpn_cnd_add_n(sign & 1, value, value, n.data(), static_cast<mp_size_t>(n.size()));
  return foreign == 0;
}

/// m mod N of a plaintext in [0, 2N), by masks; false when it lies elsewhere.
bool load_residue(std::uint64_t* value, std::span<const std::uint64_t> words,
                  std::span<const std::uint64_t> n) {
  const auto size = static_cast<mp_size_t>(n.size());
  std::uint64_t above = 0;  // what lies above n.size() words
  for (std::size_t k = 0; k < n.size(); ++k) value[k] = k < words.size() ? words[k] : 0;
  for (std::size_t k = n.size(); k < words.size(); ++k) above |= words[k];
  std::array<mp_limb_t, kernels::kMaxBaseBits / 64> rest;
  const std::uint64_t low_reaches_n = mpn_sub_n(rest.data(), value, n.data(), size) ^ 1;
  const std::uint64_t reaches_n = (above | low_reaches_n) & 1;
  mpn_cnd_sub_n(reaches_n, value, value, n.data(), size);
  const std::uint64_t still_reaches_n = mpn_sub_n(rest.data(), value, n.data(), size) ^ 1;
  OPENSSL_cleanse(rest.data(), sizeof rest);
  return ((above >> 1) | (above & low_reaches_n) | still_reaches_n) == 0;
}

void expect_same_size(const CiphertextBatch& x, const CiphertextBatch& y) {
  if (x.size() != y.size()) throw Error("batch.size", "two batches of ciphertexts differ in size");
}

}  // namespace

OperationCounts& OperationCounts::operator+=(const OperationCounts& other) {
  multiplications += other.multiplications;
  squarings += other.squarings;
  inversions += other.inversions;
  return *this;
}

PublicContext::PublicContext(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PublicContext::~PublicContext() = default;

std::shared_ptr<const PublicContext> PublicContext::create(const PublicKey& key, Rng& rng,
                                                           const kernels::Kernel* kernel) {
  auto parts = std::make_unique<Parts>(key);
  mpz_mul(parts->n_squared.get(), parts->n.get(), parts->n.get());
  parts->modulus =
      Modulus::create(kernel != nullptr ? *kernel : kernels::active(), parts->n.limbs(parts->n_limbs()));
  const std::vector<GroupBuffer> generators =
      key.kind() == KeyKind::subgroup
          ? subgroup_generator(*parts)
          : random_nth_residues(*parts, generator_count(key.kind(), key.bits()), rng);
  parts->generators = std::make_unique<FixedBaseTable>(
      parts->modulus, generators, randomness_bits(key.kind(), key.bits()), kGeneratorWindow);
  return std::shared_ptr<const PublicContext>(new PublicContext(std::move(parts)));
}

const PublicKey& PublicContext::key() const noexcept {
  return parts_->key;
}

std::size_t PublicContext::memory_bytes() const noexcept {
  return parts_->generators->memory_bytes();
}

Evaluator::Evaluator(std::shared_ptr<const PublicContext> context, Rng& rng)
    : context_(std::move(context)), rng_(rng) {}

void Evaluator::count(std::uint64_t multiplications, std::uint64_t squarings,
                      std::uint64_t inversions) const noexcept {
  multiplications_.fetch_add(multiplications, std::memory_order_relaxed);
  squarings_.fetch_add(squarings, std::memory_order_relaxed);
  inversions_.fetch_add(inversions, std::memory_order_relaxed);
}

OperationCounts Evaluator::counts() const noexcept {
  return {multiplications_.load(), squarings_.load(), inversions_.load()};
}

CiphertextBatch Evaluator::parse(ByteView wire, std::size_t count_expected) const {
  const std::size_t width = key().ciphertext_bytes();
  if (wire.size() != count_expected * width) {
    throw InputError("ciphertext.length", "expected " + std::to_string(count_expected) + " ciphertexts of " +
                                              std::to_string(width) + " bytes, got " +
                                              std::to_string(wire.size()) + " bytes");
  }
  CiphertextBatch batch = reserve(count_expected);
  parse_into(batch, 0, wire);
  return batch;
}

CiphertextBatch Evaluator::reserve(std::size_t size) const {
  return {context_->parts().modulus, size};
}

std::size_t Evaluator::group_size() const noexcept {
  return context_->parts().modulus->lanes();
}

void Evaluator::parse_into(CiphertextBatch& batch, std::size_t first, ByteView wire) const {
  const auto& parts = context_->parts();
  const Modulus& modulus = *parts.modulus;
  const std::size_t width = key().ciphertext_bytes();
  const std::size_t limbs = modulus.limbs();
  const std::size_t lanes = modulus.lanes();
  const std::size_t present = wire.size() / width;
  const std::size_t end = first + present;
  const bool whole_groups = first % lanes == 0 && (end % lanes == 0 || end == batch.size());
  if (wire.size() % width != 0 || end > batch.size() || !whole_groups) {
    throw Error("batch.piece", "a piece of a batch must be whole groups of ciphertexts");
  }
  if (present == 0) return;
  const std::size_t first_group = first / lanes;
  const std::size_t groups = (present + lanes - 1) / lanes;
  const std::vector<std::uint64_t> bound = parts.n_squared.limbs(limbs);
  std::atomic<std::size_t> offender{present};
  const auto report = [&](std::size_t index) {
    std::size_t seen = offender.load();
    while (index < seen && !offender.compare_exchange_weak(seen, index)) {
    }
  };
  // The product of all ciphertexts, for one gcd with N; a product per piece, multiplied at the end.
  const std::size_t pieces = (groups + kGrain - 1) / kGrain;
  CiphertextBatch products(parts.modulus, pieces * lanes);
  parallel_ranges(pieces, 1, [&](std::size_t begin, std::size_t past) {
    std::vector<std::uint64_t> values(lanes * limbs);
    for (std::size_t piece = begin; piece < past; ++piece) {
      std::memcpy(products.group(piece), modulus.one(), modulus.group_words() * sizeof(std::uint64_t));
      for (std::size_t g = piece * kGrain; g < std::min((piece + 1) * kGrain, groups); ++g) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          const std::size_t i = g * lanes + lane;
          std::uint64_t* const value = values.data() + lane * limbs;
          if (i >= present) {  // padding lanes hold 1
            std::fill_n(value, limbs, 0);
            value[0] = 1;
            continue;
          }
          limbs_from_big_endian(value, limbs, wire.data() + i * width);
          const bool zero = std::all_of(value, value + limbs, [](std::uint64_t limb) { return limb == 0; });
          if (zero || mpn_cmp(value, bound.data(), static_cast<mp_size_t>(limbs)) >= 0) {
            report(i);
            std::fill_n(value, limbs, 0);
            value[0] = 1;
          }
        }
        std::uint64_t* const group = batch.group(first_group + g);
        modulus.import_numbers(group, values.data());
        modulus.multiply(products.group(piece), products.group(piece), group);
      }
    }
  });
  count(parse_cost(present));
  BigInteger product;
  BigInteger factor;
  mpz_set_ui(product.get(), 1);
  std::vector<std::uint64_t> values(lanes * limbs);
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    modulus.export_numbers(values.data(), products.group(piece));
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      factor.set_limbs({values.data() + lane * limbs, limbs});
      mpz_mul(product.get(), product.get(), factor.get());
      mpz_mod(product.get(), product.get(), parts.n.get());
    }
  }
  mpz_gcd(product.get(), product.get(), parts.n.get());
  if (mpz_cmp_ui(product.get(), 1) != 0) {  // rare: find out which one
    for (std::size_t i = 0; i < present; ++i) {
      factor.set_bytes(wire.subspan(i * width, width));
      mpz_gcd(factor.get(), factor.get(), parts.n.get());
      if (mpz_cmp_ui(factor.get(), 1) != 0) report(i);
    }
  }
  if (offender.load() < present) {
    throw InputError("ciphertext.invalid",
                     "ciphertext " + std::to_string(first + offender.load()) +
                         " is no unit modulo N^2: it must lie in (0, N^2) and be coprime to N");
  }
}

void Evaluator::serialise(const CiphertextBatch& batch, Bytes& out) const {
  if (batch.empty()) return;
  const Modulus& modulus = batch.modulus();
  const std::size_t width = key().ciphertext_bytes();
  const std::size_t limbs = modulus.limbs();
  const std::size_t lanes = modulus.lanes();
  const std::size_t start = out.size();
  out.resize(start + batch.size() * width);
  parallel_ranges(batch.groups(), kGrain, [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint64_t> values(lanes * limbs);
    for (std::size_t g = begin; g < end; ++g) {
      modulus.export_numbers(values.data(), batch.group(g));
      for (std::size_t lane = 0; lane < lanes && g * lanes + lane < batch.size(); ++lane) {
        limbs_to_big_endian(out.data() + start + (g * lanes + lane) * width, values.data() + lane * limbs,
                            limbs);
      }
    }
  });
  count(batch.size());
}

CiphertextBatch Evaluator::load_plaintexts(const WideVector& plaintexts, PlaintextRange range) const {
  const auto& parts = context_->parts();
  const Modulus& modulus = *parts.modulus;
  CiphertextBatch batch(parts.modulus, plaintexts.size());
  const std::size_t limbs = modulus.limbs();
  const std::size_t lanes = modulus.lanes();
  const std::size_t n_limbs = parts.n_limbs();
  const std::vector<std::uint64_t> n = parts.n.limbs(n_limbs);
  std::atomic<bool> too_large{false};
  parallel_ranges(batch.groups(), kGrain, [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint64_t> values(lanes * limbs);
    for (std::size_t g = begin; g < end; ++g) {
      std::ranges::fill(values, 0);
      for (std::size_t lane = 0; lane < lanes; ++lane) values[lane * limbs] = 1;
      for (std::size_t lane = 0; lane < lanes && g * lanes + lane < plaintexts.size(); ++lane) {
        std::uint64_t* const value = values.data() + lane * limbs + n_limbs;
        const auto load = range == PlaintextRange::narrow ? load_narrow : load_residue;
        if (!load(value, plaintexts[g * lanes + lane], n)) too_large = true;
      }
      modulus.load(batch.group(g), values.data());
    }
    OPENSSL_cleanse(values.data(), values.size() * sizeof(std::uint64_t));
  });
  if (too_large) throw Error("plaintext.too_large", "a plaintext exceeds the plaintext space of the key");
  return batch;
}

CiphertextBatch Evaluator::encrypt_trivial(const WideVector& plaintexts, PlaintextRange range) const {
  CiphertextBatch batch = load_plaintexts(plaintexts, range);
  parallel_ranges(batch.groups(), kGrain, [&](std::size_t begin, std::size_t end) {
    const Modulus& modulus = batch.modulus();
    for (std::size_t g = begin; g < end; ++g)
      modulus.multiply_secret(batch.group(g), batch.group(g), modulus.to_residue());
  });
  count(plaintexts.size());
  return batch;
}

CiphertextBatch Evaluator::encrypt_trivial(const WideVector& plaintexts) const {
  return encrypt_trivial(plaintexts, PlaintextRange::narrow);
}

CiphertextBatch Evaluator::plain_logarithms(const WideVector& plaintexts) const {
  CiphertextBatch batch = load_plaintexts(plaintexts);
  const Modulus& modulus = batch.modulus();
  for (std::size_t g = 0; g < batch.groups(); ++g) {
    std::uint64_t* const w = batch.group(g) + modulus.group_words() / 2;
    modulus.kernel().sum_of_products(modulus.view(), w, modulus.to_residue(), w, nullptr, nullptr);
  }
  count(plaintexts.size());
  return batch;
}

CiphertextBatch Evaluator::encrypt(const WideVector& values) const {
  CiphertextBatch batch = encrypt_trivial(values);
  rerandomise_inplace(batch);
  return batch;
}

CiphertextBatch Evaluator::add(const CiphertextBatch& x, const CiphertextBatch& y) const {
  expect_same_size(x, y);
  if (x.empty()) return {};
  CiphertextBatch sum(x.shared_modulus(), x.size());
  parallel_ranges(sum.groups(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t g = begin; g < end; ++g) x.modulus().multiply(sum.group(g), x.group(g), y.group(g));
  });
  count(x.size());
  return sum;
}

CiphertextBatch Evaluator::negate(const CiphertextBatch& x) const {
  CiphertextBatch inverse = invert_batch(x, context_->parts().n_squared);
  count(3 * x.size(), 0, x.empty() ? 0 : 1);
  return inverse;
}

CiphertextBatch Evaluator::subtract(const CiphertextBatch& x, const CiphertextBatch& y) const {
  expect_same_size(x, y);
  return add(x, negate(y));
}

void Evaluator::add_plaintexts(CiphertextBatch& x, const WideVector& values, PlaintextRange range) const {
  if (x.size() != values.size()) throw Error("batch.size", "ciphertexts and plaintexts differ in number");
  if (x.empty()) return;
  const CiphertextBatch factors = encrypt_trivial(values, range);
  parallel_ranges(x.groups(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t g = begin; g < end; ++g) x.modulus().multiply(x.group(g), x.group(g), factors.group(g));
  });
  count(x.size());
}

void Evaluator::add_plain_inplace(CiphertextBatch& x, const WideVector& values) const {
  add_plaintexts(x, values, PlaintextRange::narrow);
}

void Evaluator::add_residues_inplace(CiphertextBatch& x, const WideVector& values) const {
  add_plaintexts(x, values, PlaintextRange::residues);
}

void Evaluator::shift_inplace(CiphertextBatch& x, unsigned bits) const {
  if (x.empty()) return;
  parallel_ranges(x.groups(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t g = begin; g < end; ++g) {
      for (unsigned bit = 0; bit < bits; ++bit) x.modulus().square(x.group(g), x.group(g));
    }
  });
  count(std::uint64_t{bits} * x.size(), std::uint64_t{bits} * x.size());
}

CiphertextBatch Evaluator::scalar_multiply(const CiphertextBatch& x, const WideVector& scalars,
                                           unsigned bits) const {
  if (x.size() != scalars.size()) throw Error("batch.size", "ciphertexts and scalars differ in number");
  if (x.empty()) return {};
  const Modulus& modulus = x.modulus();
  const std::size_t lanes = modulus.lanes();
  CiphertextBatch result(x.shared_modulus(), x.size());
  parallel_ranges(result.groups(), 1, [&](std::size_t begin, std::size_t end) {
    GroupBuffer table(power_table_words(modulus, bits));
    std::vector<std::uint64_t> exponents(lanes * scalars.limbs());
    for (std::size_t g = begin; g < end; ++g) {
      std::ranges::fill(exponents, 0);
      const std::size_t present = std::min(lanes, scalars.size() - g * lanes);
      std::copy_n(scalars.words().data() + g * lanes * scalars.limbs(), present * scalars.limbs(),
                  exponents.begin());
      power(modulus, result.group(g), x.group(g), {exponents.data(), scalars.limbs()}, bits, table);
    }
    OPENSSL_cleanse(exponents.data(), exponents.size() * sizeof(std::uint64_t));
  });
  const PowerCost cost = power_cost(bits);
  count((cost.squarings + cost.multiplications) * x.size(), cost.squarings * x.size());
  return result;
}

CiphertextBatch Evaluator::scalar_multiply_public(const CiphertextBatch& x, std::int64_t k) const {
  if (k < 0) return scalar_multiply_public(negate(x), -k);
  if (x.empty()) return {};
  const Modulus& modulus = x.modulus();
  CiphertextBatch result(x.shared_modulus(), x.size());
  const auto scalar = static_cast<std::uint64_t>(k);
  const int width = std::bit_width(scalar);
  parallel_ranges(result.groups(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t g = begin; g < end; ++g) {
      std::uint64_t* const r = result.group(g);
      std::memcpy(r, scalar == 0 ? modulus.one() : x.group(g), modulus.group_words() * sizeof(std::uint64_t));
      for (int bit = width - 2; bit >= 0; --bit) {
        modulus.square(r, r);
        if ((scalar >> bit) & 1) modulus.multiply(r, r, x.group(g));
      }
    }
  });
  if (width > 1) {
    const auto squarings = static_cast<std::uint64_t>(width - 1);
    const auto products = static_cast<std::uint64_t>(std::popcount(scalar) - 1);
    count((squarings + products) * x.size(), squarings * x.size());
  }
  return result;
}

CiphertextBatch Evaluator::select(const CiphertextBatch& a, const CiphertextBatch& b,
                                  std::span<const std::uint8_t> choose) const {
  expect_same_size(a, b);
  if (choose.size() != a.size()) throw Error("batch.size", "ciphertexts and choices differ in number");
  if (a.empty()) return {};
  const Modulus& modulus = a.modulus();
  const std::size_t lanes = modulus.lanes();
  const std::size_t group = modulus.group_words();
  CiphertextBatch result(a.shared_modulus(), a.size());
  parallel_ranges(result.groups(), 64, [&](std::size_t begin, std::size_t end) {
    GroupBuffer table(2 * group);
    std::array<std::uint64_t, kMaxLanes> index{};
    for (std::size_t g = begin; g < end; ++g) {
      std::memcpy(table.data(), a.group(g), group * sizeof(std::uint64_t));
      std::memcpy(table.data() + group, b.group(g), group * sizeof(std::uint64_t));
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const std::size_t i = g * lanes + lane;
        index[lane] = i < choose.size() ? choose[i] & 1 : 0;
      }
      modulus.kernel().select(modulus.view(), result.group(g), table.data(), 2, index.data());
    }
  });
  return result;
}

CiphertextBatch Evaluator::pack(const CiphertextBatch& x, unsigned slot_bits,
                                std::size_t per_ciphertext) const {
  if (per_ciphertext == 0 || slot_bits * per_ciphertext > key().bits() - 2) {
    throw Error("packing.overflow", std::to_string(per_ciphertext) + " slots of " +
                                        std::to_string(slot_bits) + " bits exceed a plaintext of a " +
                                        std::to_string(key().bits()) + "-bit key");
  }
  if (x.empty()) return {};
  const Modulus& modulus = x.modulus();
  const std::size_t lanes = modulus.lanes();
  const std::size_t size = (x.size() + per_ciphertext - 1) / per_ciphertext;
  CiphertextBatch packed(x.shared_modulus(), size);
  parallel_ranges(packed.groups(), 1, [&](std::size_t begin, std::size_t end) {
    alignas(64) Group value;
    std::array<const std::uint64_t*, kMaxLanes> operands{};
    for (std::size_t g = begin; g < end; ++g) {
      std::uint64_t* const sum = packed.group(g);
      for (std::size_t slot = per_ciphertext; slot-- > 0;) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          const std::size_t place = (g * lanes + lane) * per_ciphertext + slot;
          operands[lane] = place < x.size() ? modulus.operand(x.group(0), place) : nullptr;
        }
        if (slot + 1 == per_ciphertext) {
          modulus.kernel().gather(modulus.view(), sum, operands.data());
          continue;
        }
        for (unsigned bit = 0; bit < slot_bits; ++bit) modulus.square(sum, sum);
        modulus.kernel().gather(modulus.view(), value.data(), operands.data());
        modulus.multiply(sum, sum, value.data());
      }
    }
  });
  // The first value of each ciphertext costs nothing.
  count((x.size() - size) * (slot_bits + 1ULL), (x.size() - size) * slot_bits);
  return packed;
}

void PublicContext::Parts::draw_randomness(std::uint64_t* rho, std::size_t groups, Rng& rng) const {
  std::vector<std::uint64_t> exponents(groups * modulus->lanes() * generators->exponent_limbs());
  random_exponents(exponents, generators->exponent_bits(), rng);
  generators->power(rho, exponents.data(), groups);
  OPENSSL_cleanse(exponents.data(), exponents.size() * sizeof(std::uint64_t));
}

void PublicContext::prepare(std::size_t count, Rng& rng) const {
  const Modulus& modulus = *parts_->modulus;
  const std::size_t group = modulus.group_words();
  parallel_ranges((count + modulus.lanes() - 1) / modulus.lanes(), kGrain,
                  [&](std::size_t begin, std::size_t end) {
                    GroupBuffer rho((end - begin) * group, true);
                    parts_->draw_randomness(rho.data(), end - begin, rng);
                    std::vector<GroupBuffer> made;
                    for (std::size_t g = 0; g < end - begin; ++g) {
                      std::copy_n(rho.data() + g * group, group, made.emplace_back(group, true).data());
                    }
                    parts_->prepared.put(std::move(made));
                  });
}

std::size_t PublicContext::prepared() const {
  return parts_->prepared.size() * parts_->modulus->lanes();
}

void Evaluator::rerandomise_inplace(CiphertextBatch& x) const {
  if (x.empty()) return;
  const PublicContext::Parts& parts = context_->parts();
  const Modulus& modulus = x.modulus();
  const std::size_t group = modulus.group_words();
  parallel_ranges(x.groups(), kGrain, [&](std::size_t begin, std::size_t end) {
    const std::vector<GroupBuffer> ready = parts.prepared.take(end - begin);
    for (std::size_t i = 0; i < ready.size(); ++i)
      modulus.multiply(x.group(begin + i), x.group(begin + i), ready[i].data());
    const std::size_t first = begin + ready.size();
    if (first == end) return;
    GroupBuffer randomness((end - first) * group, true);
    parts.draw_randomness(randomness.data(), end - first, rng_);
    for (std::size_t g = first; g < end; ++g)
      modulus.multiply(x.group(g), x.group(g), randomness.data() + (g - first) * group);
  });
  count((parts.generators->multiplications() + 1) * x.size());
}

}  // namespace popcorn::paillier
