// Every kernel against GMP, at every operand size, with random and adversarial operands.
#include <gmp.h>

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "paillier/big_integer.h"
#include "paillier/exponentiation.h"
#include "paillier/kernels/kernel_registry.h"
#include "paillier/kernels/modulus.h"
#include "paillier/weighted_sum/factored_batch.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::paillier;
using kernels::GroupBuffer;
using kernels::Modulus;

namespace {

using Limbs = std::vector<std::uint64_t>;

Limbs random_modulus(std::size_t bits, test::SeededRng& rng) {
  Limbs n((bits + 63) / 64);
  for (auto& limb : n) limb = rng.next_u64();
  n.front() |= 1;
  const unsigned top = static_cast<unsigned>((bits - 1) % 64);
  n.back() &= (std::uint64_t{2} << top) - 1;
  n.back() |= std::uint64_t{1} << top;
  return n;
}

/// 0, 1, N − 1, N − 2, all ones below N, alternating limbs, then random values.
std::vector<BigInteger> operands(const BigInteger& n, std::size_t count, test::SeededRng& rng) {
  std::vector<BigInteger> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    mpz_ptr value = values[i].get();
    switch (i % 9) {
      case 0:
        mpz_set_ui(value, 0);
        break;
      case 1:
        mpz_set_ui(value, 1);
        break;
      case 2:
        mpz_sub_ui(value, n.get(), 1);
        break;
      case 3:
        mpz_sub_ui(value, n.get(), 2);
        break;
      case 4:
        mpz_setbit(value, n.bits() - 1);
        mpz_sub_ui(value, value, 1);
        break;
      case 5:
        for (std::size_t bit = 0; bit < n.bits(); ++bit) {
          if (bit % 128 < 64) mpz_setbit(value, bit);
        }
        mpz_mod(value, value, n.get());
        break;
      default:
        values[i].set_random_below(n, rng);
    }
  }
  return values;
}

/// Plain values into residues of a batch of groups, and back.
GroupBuffer load(const Modulus& modulus, const std::vector<BigInteger>& values) {
  const std::size_t lanes = modulus.lanes();
  const std::size_t groups = (values.size() + lanes - 1) / lanes;
  GroupBuffer batch(groups * modulus.group_words());
  for (std::size_t g = 0; g < groups; ++g) {
    Limbs plain;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const std::size_t i = g * lanes + lane;
      const Limbs limbs = i < values.size() ? values[i].limbs(modulus.limbs()) : Limbs(modulus.limbs());
      plain.insert(plain.end(), limbs.begin(), limbs.end());
    }
    std::uint64_t* const group = batch.data() + g * modulus.group_words();
    modulus.import_numbers(group, plain.data());
  }
  return batch;
}

std::vector<Limbs> store(const Modulus& modulus, const GroupBuffer& batch, std::size_t count) {
  const std::size_t lanes = modulus.lanes();
  std::vector<Limbs> values;
  Limbs plain(lanes * modulus.limbs());
  GroupBuffer group(modulus.group_words());
  for (std::size_t i = 0; i < count; ++i) {
    if (i % lanes == 0) {
      modulus.multiply(group.data(), batch.data() + i / lanes * modulus.group_words(),
                       modulus.from_residue());
      modulus.store(plain.data(), group.data());
    }
    const auto first = plain.begin() + static_cast<std::ptrdiff_t>(i % lanes * modulus.limbs());
    values.emplace_back(first, first + static_cast<std::ptrdiff_t>(modulus.limbs()));
  }
  return values;
}

std::vector<const kernels::Kernel*> runnable() {
  std::vector<const kernels::Kernel*> result;
  for (const kernels::Kernel* kernel : kernels::all()) {
    if (kernel->supported()) result.push_back(kernel);
  }
  return result;
}

}  // namespace

TEST_CASE("kernels pass their self-test", "[kernels]") {
  REQUIRE_FALSE(runnable().empty());
  for (const auto* kernel : runnable()) REQUIRE(kernels::self_test(*kernel));
}

TEST_CASE("multiplication, squaring and addition agree with GMP", "[kernels]") {
  test::SeededRng rng(11);
  const std::size_t bits = GENERATE(128, 192, 256, 512, 768, 1024, 1536, 1984, 2048, 2560, 3072, 3584, 4096);
  const Limbs limbs = random_modulus(bits, rng);
  BigInteger n;
  n.set_limbs(limbs);
  mpz_mul(n.get(), n.get(), n.get());  // the modulus is N²
  for (const auto* kernel : runnable()) {
    INFO(kernel->name << ", N of " << bits << " bits");
    const auto modulus = Modulus::create(*kernel, limbs);
    REQUIRE(modulus->base_bits() == bits);
    for (const std::size_t count : {1, 2, 7, 8, 9, 17, 81}) {
      const auto a = operands(n, count, rng);
      auto b = operands(n, count, rng);
      std::rotate(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(rng.below(count)), b.end());
      const GroupBuffer x = load(*modulus, a);
      const GroupBuffer y = load(*modulus, b);
      GroupBuffer product(x.size());
      GroupBuffer product_secret(x.size());
      GroupBuffer square(x.size());
      GroupBuffer square_secret(x.size());
      GroupBuffer sum(x.size());
      for (std::size_t at = 0; at < x.size(); at += modulus->group_words()) {
        modulus->multiply(product.data() + at, x.data() + at, y.data() + at);
        modulus->multiply_secret(product_secret.data() + at, x.data() + at, y.data() + at);
        modulus->square(square.data() + at, x.data() + at);
        modulus->square_secret(square_secret.data() + at, x.data() + at);
        modulus->add(sum.data() + at, x.data() + at, y.data() + at);
      }
      const auto products = store(*modulus, product, count);
      const auto squares = store(*modulus, square, count);
      const auto sums = store(*modulus, sum, count);
      REQUIRE(store(*modulus, product_secret, count) == products);
      REQUIRE(store(*modulus, square_secret, count) == squares);
      BigInteger expected;
      for (std::size_t i = 0; i < count; ++i) {
        mpz_mul(expected.get(), a[i].get(), b[i].get());
        mpz_mod(expected.get(), expected.get(), n.get());
        REQUIRE(products[i] == expected.limbs(2 * limbs.size()));
        mpz_mul(expected.get(), a[i].get(), a[i].get());
        mpz_mod(expected.get(), expected.get(), n.get());
        REQUIRE(squares[i] == expected.limbs(2 * limbs.size()));
        mpz_add(expected.get(), a[i].get(), b[i].get());
        mpz_mod(expected.get(), expected.get(), n.get());
        REQUIRE(sums[i] == expected.limbs(2 * limbs.size()));
      }
    }
  }
}

TEST_CASE("units, logarithms and sums of digit products agree with GMP", "[kernels]") {
  test::SeededRng rng(15);
  const std::size_t bits = GENERATE(128, 192, 512, 1024, 1536, 2048, 3072, 4096);
  const Limbs limbs = random_modulus(bits, rng);
  BigInteger n;
  n.set_limbs(limbs);
  BigInteger n_squared;
  mpz_mul(n_squared.get(), n.get(), n.get());
  for (const auto* kernel : runnable()) {
    INFO(kernel->name << ", N of " << bits << " bits");
    const auto modulus = Modulus::create(*kernel, limbs);
    const kernels::ModulusView& view = modulus->view();
    const std::size_t lanes = modulus->lanes();
    const std::size_t group = modulus->group_words();
    BigInteger r;
    mpz_setbit(r.get(), kernel->radix_bits * view.words);
    BigInteger r_inverse;
    mpz_invert(r_inverse.get(), r.get(), n_squared.get());
    // Plain digits u and w of a group, as given; both halves hold the extremes.
    const auto digits_of = [&](const std::vector<BigInteger>& u, const std::vector<BigInteger>& w) {
      Limbs plain;
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        for (const auto* half : {&u, &w}) {
          const Limbs value = (*half)[lane].limbs(limbs.size());
          plain.insert(plain.end(), value.begin(), value.end());
        }
      }
      GroupBuffer result(group);
      modulus->load(result.data(), plain.data());
      return result;
    };
    std::vector<BigInteger> zeros(lanes);
    for (int round = 0; round < 3; ++round) {
      const auto a = operands(n_squared, 9 + lanes, rng);
      std::vector<std::vector<BigInteger>> digit_values;
      for (int i = 0; i < 4; ++i) {
        digit_values.push_back(operands(n, lanes, rng));
        std::rotate(digit_values.back().begin(),
                    digit_values.back().begin() + static_cast<std::ptrdiff_t>(rng.below(lanes)),
                    digit_values.back().end());
      }
      const auto operand_at = [&](std::size_t i) { return digits_of(digit_values[i], digit_values[1]); };
      const GroupBuffer x = load(*modulus, a);
      const GroupBuffer unit = operand_at(0);
      GroupBuffer product(group);
      modulus->multiply_unit(product.data(), x.data(), unit.data());
      const auto products = store(*modulus, product, lanes);
      // Two units, and the logarithm that makes their product the inverse of something.
      GroupBuffer units(group);
      kernel->multiply_units(view, units.data(), operand_at(0).data(), operand_at(2).data());
      const auto unit_products = store(*modulus, units, lanes);
      // Sums of logarithms, never reduced until the end.
      constexpr int kSummands = 1 << (kernels::kSpareBits - 2);
      GroupBuffer sum = digits_of(zeros, digit_values[0]);
      const GroupBuffer summand = digits_of(digit_values[2], digit_values[1]);
      for (int i = 0; i < kSummands; ++i) kernel->add_logarithm(view, sum.data(), summand.data());
      GroupBuffer factored(group);
      GroupBuffer scratch(group);
      std::copy_n(x.data(), group, factored.data());
      apply_logarithm(*modulus, factored.data(), sum.data(), scratch.data());
      const auto with_logarithm = store(*modulus, factored, lanes);
      // (a·b + c·d)/R
      std::vector<GroupBuffer> operand;
      for (int i = 0; i < 4; ++i)
        operand.push_back(digits_of(digit_values[static_cast<std::size_t>(i)], zeros));
      GroupBuffer dot(group);
      std::fill_n(dot.data(), group, 0);
      kernel->sum_of_products(view, dot.data(), operand[0].data(), operand[1].data(), operand[2].data(),
                              operand[3].data());
      Limbs dots(lanes * modulus->limbs());
      modulus->store_digits(dots.data(), dot.data());
      BigInteger expected;
      BigInteger term;
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        mpz_mul(expected.get(), a[lane].get(), digit_values[0][lane].get());
        mpz_mul(expected.get(), expected.get(), r_inverse.get());
        mpz_mod(expected.get(), expected.get(), n_squared.get());
        REQUIRE(products[lane] == expected.limbs(modulus->limbs()));

        mpz_mul(expected.get(), digit_values[0][lane].get(), digit_values[2][lane].get());
        mpz_mul(expected.get(), expected.get(), r_inverse.get());
        mpz_mul(expected.get(), expected.get(), r_inverse.get());
        mpz_mod(expected.get(), expected.get(), n_squared.get());
        REQUIRE(unit_products[lane] == expected.limbs(modulus->limbs()));

        mpz_mul_ui(expected.get(), digit_values[1][lane].get(), kSummands);
        mpz_add(expected.get(), expected.get(), digit_values[0][lane].get());
        mpz_mul(expected.get(), expected.get(), n.get());
        mpz_add_ui(expected.get(), expected.get(), 1);
        mpz_mul(expected.get(), expected.get(), a[lane].get());
        mpz_mod(expected.get(), expected.get(), n_squared.get());
        REQUIRE(with_logarithm[lane] == expected.limbs(modulus->limbs()));

        mpz_mul(expected.get(), digit_values[0][lane].get(), digit_values[1][lane].get());
        mpz_mul(term.get(), digit_values[2][lane].get(), digit_values[3][lane].get());
        mpz_add(expected.get(), expected.get(), term.get());
        mpz_mul(expected.get(), expected.get(), r_inverse.get());
        mpz_mod(expected.get(), expected.get(), n.get());
        const auto found = dots.begin() + static_cast<std::ptrdiff_t>(lane * modulus->limbs());
        REQUIRE(Limbs(found, found + static_cast<std::ptrdiff_t>(limbs.size())) ==
                expected.limbs(limbs.size()));
      }
    }
  }
}

TEST_CASE("ciphertexts taken apart into units and logarithms, and their inverses, are what they were",
          "[kernels]") {
  test::SeededRng rng(16);
  const std::size_t bits = GENERATE(128, 512, 1984, 2048, 4096);
  const Limbs limbs = random_modulus(bits, rng);
  BigInteger n;
  n.set_limbs(limbs);
  BigInteger n_squared;
  mpz_mul(n_squared.get(), n.get(), n.get());
  for (const auto* kernel : runnable()) {
    INFO(kernel->name << ", N of " << bits << " bits");
    const auto modulus = Modulus::create(*kernel, limbs);
    const std::size_t group = modulus->group_words();
    for (const std::size_t count : {1, 2, 7, 8, 9, 17, 300}) {
      std::vector<BigInteger> values = operands(n_squared, count, rng);
      BigInteger gcd;
      for (BigInteger& value : values) {  // 0 and others that share a factor with N have no inverse
        for (mpz_gcd(gcd.get(), value.get(), n.get()); mpz_cmp_ui(gcd.get(), 1) != 0;
             mpz_gcd(gcd.get(), value.get(), n.get())) {
          value.set_random_below(n_squared, rng);
        }
      }
      CiphertextBatch x(modulus, count);
      const std::size_t padding = x.groups() * kernel->lanes - count;
      std::vector<BigInteger> padded = std::move(values);
      for (std::size_t i = 0; i < padding; ++i) mpz_set_ui(padded.emplace_back().get(), 1);
      const GroupBuffer loaded = load(*modulus, padded);
      std::copy_n(loaded.data(), x.groups() * group, x.group(0));
      const FactoredBatch factored = factor_batch(x, n, true);
      BigInteger inverse;
      for (std::size_t g = 0; g < x.groups(); ++g) {
        for (const bool inverted : {false, true}) {
          const std::uint64_t* const from = inverted ? factored.inverses.group(g) : factored.units.group(g);
          GroupBuffer joined(group);  // û·(1 + N·λ): w = u·λ·R/R
          std::copy_n(from, group, joined.data());
          kernel->sum_of_products(modulus->view(), joined.data() + group / 2, from, from + group / 2, nullptr,
                                  nullptr);
          const auto found = store(*modulus, joined, kernel->lanes);
          for (std::size_t lane = 0; lane < kernel->lanes; ++lane) {
            const BigInteger& value = padded[g * kernel->lanes + lane];
            mpz_set(inverse.get(), value.get());
            if (inverted) mpz_invert(inverse.get(), value.get(), n_squared.get());
            REQUIRE(found[lane] == inverse.limbs(modulus->limbs()));
          }
        }
      }
    }
  }
}

TEST_CASE("groups filled by 1 to 17 operands agree with GMP", "[kernels]") {
  test::SeededRng rng(17);
  const Limbs limbs = random_modulus(GENERATE(512, 1024, 2048), rng);
  BigInteger n;
  n.set_limbs(limbs);
  mpz_mul(n.get(), n.get(), n.get());
  for (const auto* kernel : runnable()) {
    const auto modulus = Modulus::create(*kernel, limbs);
    for (std::size_t count = 1; count <= 17; ++count) {
      INFO(kernel->name << ", " << count << " operands");
      const auto a = operands(n, count, rng);
      const GroupBuffer x = load(*modulus, a);
      GroupBuffer cube(x.size());
      for (std::size_t at = 0; at < x.size(); at += modulus->group_words()) {
        modulus->square(cube.data() + at, x.data() + at);
        modulus->multiply(cube.data() + at, cube.data() + at, x.data() + at);
      }
      const auto cubes = store(*modulus, cube, count);
      BigInteger expected;
      for (std::size_t i = 0; i < count; ++i) {
        mpz_powm_ui(expected.get(), a[i].get(), 3, n.get());
        REQUIRE(cubes[i] == expected.limbs(2 * limbs.size()));
      }
    }
  }
}

TEST_CASE("extreme moduli: all ones, and a single high and low bit", "[kernels]") {
  test::SeededRng rng(12);
  for (const std::size_t words : {2, 16, 32, 48, 64}) {
    for (const bool ones : {true, false}) {
      Limbs limbs(words, ones ? ~std::uint64_t{0} : 0);
      limbs.front() |= 1;
      limbs.back() |= std::uint64_t{1} << 63;
      BigInteger n;
      n.set_limbs(limbs);
      mpz_mul(n.get(), n.get(), n.get());  // the modulus is N²
      for (const auto* kernel : runnable()) {
        INFO(kernel->name << ", " << words << " limbs");
        const auto modulus = Modulus::create(*kernel, limbs);
        const auto a = operands(n, 18, rng);
        const GroupBuffer x = load(*modulus, a);
        GroupBuffer chain(x.size());
        // A long chain of operations on results that were never normalised.
        for (std::size_t at = 0; at < x.size(); at += modulus->group_words()) {
          modulus->square(chain.data() + at, x.data() + at);
          for (int i = 0; i < 20; ++i) {
            modulus->add(chain.data() + at, chain.data() + at, x.data() + at);
            modulus->multiply(chain.data() + at, chain.data() + at, x.data() + at);
            modulus->square(chain.data() + at, chain.data() + at);
          }
        }
        const auto results = store(*modulus, chain, a.size());
        BigInteger expected;
        for (std::size_t i = 0; i < a.size(); ++i) {
          mpz_powm_ui(expected.get(), a[i].get(), 2, n.get());
          for (int k = 0; k < 20; ++k) {
            mpz_add(expected.get(), expected.get(), a[i].get());
            mpz_mul(expected.get(), expected.get(), a[i].get());
            mpz_powm_ui(expected.get(), expected.get(), 2, n.get());
          }
          REQUIRE(results[i] == expected.limbs(2 * words));
        }
      }
    }
  }
}

TEST_CASE("gather, put, blend and select move the right lanes", "[kernels]") {
  test::SeededRng rng(13);
  const Limbs limbs = random_modulus(1024, rng);
  BigInteger n;
  n.set_limbs(limbs);
  mpz_mul(n.get(), n.get(), n.get());  // the modulus is N²
  for (const auto* kernel : runnable()) {
    INFO(kernel->name);
    const auto modulus = Modulus::create(*kernel, limbs);
    const std::size_t lanes = kernel->lanes;
    const std::size_t group = modulus->group_words();
    const std::size_t count = 5 * lanes;
    const auto a = operands(n, count, rng);
    GroupBuffer batch = load(*modulus, a);
    for (int round = 0; round < 60; ++round) {
      std::vector<std::size_t> places(lanes);
      std::vector<const std::uint64_t*> pointers(lanes);
      // Anywhere, in a row, or in any two groups: kernels have short cuts for some of them.
      const std::size_t start = rng.below(count - lanes + 1);
      const std::array<std::size_t, 2> groups = {rng.below(5), rng.below(5)};
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        places[lane] = rng.below(count + 1);
        if (round % 3 == 1) places[lane] = rng.below(8) == 0 ? count : start + lane;
        if (round % 3 == 2) {
          const std::size_t lane_in_group = rng.below(lanes);
          places[lane] = rng.below(8) == 0 ? count : groups[rng.below(2)] * lanes + lane_in_group;
        }
        pointers[lane] = places[lane] == count ? nullptr : modulus->operand(batch.data(), places[lane]);
      }
      GroupBuffer gathered(group);
      kernel->gather(modulus->view(), gathered.data(), pointers.data());
      const auto values = store(*modulus, gathered, lanes);
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        Limbs one(2 * limbs.size());
        one[0] = 1;
        REQUIRE(values[lane] == (places[lane] == count ? one : a[places[lane]].limbs(2 * limbs.size())));
      }
      // select: lane l from the group index[l]
      std::vector<std::uint64_t> index(lanes);
      for (auto& i : index) i = rng.below(5);
      GroupBuffer selected(group);
      kernel->select(modulus->view(), selected.data(), batch.data(), 5, index.data());
      const auto chosen = store(*modulus, selected, lanes);
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        REQUIRE(chosen[lane] == a[index[lane] * lanes + lane].limbs(2 * limbs.size()));
      }
      const auto mask = static_cast<unsigned>(rng.below(1U << lanes));
      kernel->blend(modulus->view(), selected.data(), gathered.data(), mask);
      const auto blended = store(*modulus, selected, lanes);
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        REQUIRE(blended[lane] == (((mask >> lane) & 1) != 0 ? values[lane] : chosen[lane]));
      }
    }
  }
}

TEST_CASE("powers agree with GMP, fixed and variable base", "[kernels]") {
  test::SeededRng rng(14);
  const Limbs limbs = random_modulus(512, rng);
  BigInteger n;
  n.set_limbs(limbs);
  mpz_mul(n.get(), n.get(), n.get());  // the modulus is N²
  for (const auto* kernel : runnable()) {
    const auto modulus = Modulus::create(*kernel, limbs);
    const std::size_t lanes = kernel->lanes;
    for (const std::size_t bits : {1, 5, 40, 63, 64, 65, 128, 300}) {
      INFO(kernel->name << ", exponents of " << bits << " bits");
      const std::size_t exponent_limbs = (bits + 63) / 64;
      Limbs exponents(3 * lanes * exponent_limbs);
      random_exponents(exponents, bits, rng);
      std::fill_n(exponents.begin(), exponent_limbs, 0);  // the exponent 0 among them
      const auto a = operands(n, lanes, rng);
      const GroupBuffer x = load(*modulus, a);
      GroupBuffer table(power_table_words(*modulus, bits));
      GroupBuffer result(modulus->group_words());
      power(*modulus, result.data(), x.data(), {exponents.data(), exponent_limbs}, bits, table);
      const auto powers = store(*modulus, result, lanes);
      BigInteger exponent;
      BigInteger expected;
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        exponent.set_limbs({exponents.data() + lane * exponent_limbs, exponent_limbs});
        mpz_powm(expected.get(), a[lane].get(), exponent.get(), n.get());
        REQUIRE(powers[lane] == expected.limbs(2 * limbs.size()));
      }
      exponent.set_limbs({exponents.data() + 2 * exponent_limbs, exponent_limbs});
      if (mpz_sgn(exponent.get()) == 0) mpz_set_ui(exponent.get(), 1);
      power_public(*modulus, result.data(), x.data(), exponent.get());
      const auto public_powers = store(*modulus, result, lanes);
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        mpz_powm(expected.get(), a[lane].get(), exponent.get(), n.get());
        REQUIRE(public_powers[lane] == expected.limbs(2 * limbs.size()));
      }
      for (const unsigned window : {2U, 4U, 5U, 7U}) {
        BigInteger base_value;
        BigInteger gcd;
        do {
          base_value.set_random_below(n, rng);
          mpz_gcd(gcd.get(), base_value.get(), n.get());
        } while (mpz_cmp_ui(gcd.get(), 1) != 0);
        const GroupBuffer base_group = modulus->constant(base_value.get());
        const FixedBaseTable fixed(modulus, std::span(&base_group, 1), bits, window);
        GroupBuffer many(3 * modulus->group_words());
        fixed.power(many.data(), exponents.data(), 3);
        const auto fixed_powers = store(*modulus, many, 3 * lanes);
        for (std::size_t i = 0; i < 3 * lanes; ++i) {
          exponent.set_limbs({exponents.data() + i * exponent_limbs, exponent_limbs});
          mpz_powm(expected.get(), base_value.get(), exponent.get(), n.get());
          REQUIRE(fixed_powers[i] == expected.limbs(2 * limbs.size()));
        }
      }
    }
  }
}
