// Clients that make their key so that the server's answers give its weights away, and what they get.
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "paillier/evaluator.h"
#include "paillier/keys/keys.h"
#include "paillier/weighted_sum/weighted_sum.h"
#include "protocols/ciphertext/steps/share.h"
#include "protocols/packing/slots.h"
#include "tests/paillier/big_integer.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::paillier;
using test::BigInteger;

namespace {

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;
constexpr unsigned kBits = 512;      // of the keys
constexpr unsigned kValueBits = 12;  // what the server takes the sums of honest clients to have
constexpr unsigned kDigitBits = 4;   // a weight in [−8, 7]
constexpr std::size_t kInputs = 24;

/// The first layer of a server, with weights that nobody else knows.
class Server {
 public:
  Server(const PublicKey& key, std::size_t channels, Rng& rng)
      : rng_(rng), evaluator_(PublicContext::create(key, rng), rng), plan_(layer(channels, rng)) {}

  std::int32_t weight(std::size_t channel, std::size_t input) const {
    return plan_.map().weight[channel * kInputs + input];
  }

  /// The masked shares that a session answers first.
  std::vector<BigInteger> answer(const std::vector<BigInteger>& inputs) {
    const std::size_t width = evaluator_.key().ciphertext_bytes();
    Bytes wire;
    for (const BigInteger& input : inputs) {
      const Bytes bytes = input.bytes(width);
      wire.insert(wire.end(), bytes.begin(), bytes.end());
    }
    const auto sums = evaluator_.weighted_sum(plan_, evaluator_.parse(wire, inputs.size()));
    Bytes out;
    protocols::seal_shares(evaluator_, sums, kValueBits, rng_, out);
    std::vector<BigInteger> answers;
    for (ByteView rest = out; !rest.empty(); rest = rest.subspan(width)) {
      answers.emplace_back(rest.first(width));
    }
    return answers;
  }

 private:
  static LinearMap layer(std::size_t channels, Rng& rng) {
    LinearMap map;
    map.inputs = kInputs;
    map.channels = channels;
    map.taps = kInputs;
    map.row_start.push_back(0);
    for (std::size_t channel = 0; channel < channels; ++channel) {
      for (std::uint32_t i = 0; i < kInputs; ++i) {
        map.tap.push_back(i);
        const auto magnitude = static_cast<std::int32_t>(1 + rng.below(7));
        map.weight.push_back(rng.below(2) == 0 ? magnitude : -magnitude);
      }
      map.row_start.push_back(static_cast<std::uint32_t>(map.tap.size()));
    }
    for (std::uint32_t i = 0; i < kInputs; ++i) map.input_index.push_back(i);
    map.bias = WideVector(channels, 1);
    return map;
  }

  Rng& rng_;
  Evaluator evaluator_;
  WeightedSumPlan plan_;
};

/// The digits in [−8, 7] of a signed number, the least first.
std::vector<std::int32_t> signed_digits(BigInteger value, std::size_t count) {
  std::vector<std::int32_t> digits;
  for (std::size_t i = 0; i < count; ++i) {
    auto digit = static_cast<std::int32_t>(value.modulo(16));
    if (digit >= 8) digit -= 16;
    value =
        digit >= 0 ? value - static_cast<unsigned long>(digit) : value + static_cast<unsigned long>(-digit);
    value = value / 16;
    digits.push_back(digit);
  }
  return digits;
}

BigInteger power_of_two(std::size_t exponent) {
  BigInteger result;
  mpz_setbit(result.get(), exponent);
  return result;
}

BigInteger centred(const BigInteger& x, const BigInteger& modulus) {
  const BigInteger reduced = x % modulus;
  return modulus < reduced + reduced ? reduced - modulus : reduced;
}

/// N = p^a·q with p of 17 bits: modulo p^a the server's masks and N-th residues vanish, and powers of 1 + p
/// remain, whose logarithms are sums of weights.
struct PrimePowerModulus {
  BigInteger p, p_a, p_a1, n;  // p^a, p^(a − 1)
  unsigned a = 27;

  explicit PrimePowerModulus(Rng& rng) : p(BigInteger::random_prime(17, rng)), p_a(1) {
    for (unsigned i = 0; i < a; ++i) p_a = p_a * p;
    p_a1 = p_a / p;
    BigInteger q = (power_of_two(kBits - 1) + power_of_two(kBits - 2)) / p_a;
    mpz_nextprime(q.get(), q.get());
    n = p_a * q;
  }

  /// log(u)/p modulo p^(a − 1), for u ≡ 1 modulo p.
  BigInteger logarithm(const BigInteger& u) const {
    const BigInteger t = (u - 1) % p_a;
    BigInteger term = t;
    BigInteger sum;
    for (unsigned k = 1; k <= a; ++k) {
      const BigInteger part = term * inverse(k, p_a) % p_a;
      sum = k % 2 == 1 ? sum + part : sum - part;
      term = term * t % p_a;
    }
    return sum % p_a / p;
  }
};

/// Weights of the first layer that this client reads right; the server believes that the key is fit.
std::size_t read_through_prime_power(const PrimePowerModulus& modulus, const PublicKey& key, Rng& rng) {
  constexpr std::size_t kChannels = 3;
  Server server(key, kChannels, rng);
  const unsigned slot_bits = protocols::share_layout(kValueBits, kBits).slot_bits;
  const std::size_t together = (slot_bits - 2) / kDigitBits;
  const BigInteger scale = inverse(modulus.logarithm(modulus.p + 1) * (modulus.p - 1), modulus.p_a1);
  std::size_t right = 0;
  for (std::size_t first = 0; first < kInputs; first += together) {
    std::vector<BigInteger> inputs;
    for (std::size_t i = 0; i < kInputs; ++i) {
      const bool asked = i >= first && i < first + together;
      inputs.push_back(
          asked ? power(modulus.p + 1, power_of_two(kDigitBits * (i - first)), modulus.n * modulus.n)
                : BigInteger(1));
    }
    const BigInteger answer = server.answer(inputs).at(0) % modulus.p_a;
    BigInteger sums =
        centred(modulus.logarithm(power(answer, modulus.p - 1, modulus.p_a)) * scale, modulus.p_a1);
    for (std::size_t channel = 0; channel < kChannels; ++channel) {
      const BigInteger sum = centred(sums, power_of_two(slot_bits));
      sums = (sums - sum) / power_of_two(slot_bits);
      const auto digits = signed_digits(sum, std::min(together, kInputs - first));
      for (std::size_t i = 0; i < digits.size(); ++i) {
        right += digits[i] == server.weight(channel, first + i) ? 1 : 0;
      }
    }
  }
  return right;
}

/// A prime p = 2·R + 1 with R a product of small primes, and all logarithms to the base of an element of
/// order R.
struct SmoothPrime {
  BigInteger p, order = 1, generator;
  std::vector<unsigned long> factors;
  std::vector<std::map<std::string, unsigned long>> tables;  ///< of the elements of each prime order

  SmoothPrime(unsigned bits, std::set<unsigned long>& used, Rng& rng) {
    do {
      factors.clear();
      order = 1;
      std::set<unsigned long> taken = used;
      while (order.bits() + 12 < bits) {
        const unsigned long prime = BigInteger::random_prime(11, rng).modulo(1UL << 30);
        if (!taken.insert(prime).second) continue;
        factors.push_back(prime);
        order = order * prime;
      }
      BigInteger last = (power_of_two(bits - 2) + power_of_two(bits - 3) + rng.below(1UL << 60)) / order;
      for (int tries = 0; tries < 40; ++tries) {
        mpz_nextprime(last.get(), last.get());
        p = order * last * 2 + 1;
        if (p.bits() == bits && last.bits() > 6 && !taken.contains(last.modulo(1UL << 30)) &&
            mpz_probab_prime_p(p.get(), 30) != 0) {
          factors.push_back(last.modulo(1UL << 30));
          order = order * last;
          break;
        }
        p = 4;
      }
    } while (p == 4);
    used.insert(factors.begin(), factors.end());
    const auto generates = [&] {
      for (const unsigned long factor : factors) {
        if (power(generator, order / factor, p) == 1) return false;
      }
      return true;
    };
    do {
      const BigInteger x = BigInteger::random(bits - 2, rng);
      generator = x * x % p;
    } while (!generates());
    for (const unsigned long factor : factors) {
      const BigInteger step = power(generator, order / factor, p);
      std::map<std::string, unsigned long> table;
      BigInteger x = 1;
      for (unsigned long i = 0; i < factor; ++i) {
        table.emplace(to_hex(x.bytes()), i);
        x = x * step % p;
      }
      tables.push_back(std::move(table));
    }
  }

  /// Of the square of x, halved [Pohlig, Hellman 1978].
  BigInteger logarithm(const BigInteger& x) const {
    const BigInteger square = x * x % p;
    BigInteger result;
    for (std::size_t k = 0; k < factors.size(); ++k) {
      const BigInteger rest = order / factors[k];
      const unsigned long digit = tables[k].at(to_hex(power(square, rest, p).bytes()));
      result = (result + rest * inverse(rest % factors[k], factors[k]) * digit) % order;
    }
    return result * inverse(2, order) % order;
  }
};

/// A client whose p − 1 and q − 1 are smooth: it knows every logarithm in Z*_N but for signs.
class SmoothClient {
 public:
  explicit SmoothClient(Rng& rng)
      : p_(kBits / 2, used_, rng), q_(kBits / 2, used_, rng), n_(p_.p * q_.p), order_(p_.order * q_.order) {}

  PublicKey key() const { return PrivateKey::from_primes(p_.p.bytes(), q_.p.bytes(), kTest).public_key(); }
  const BigInteger& order() const { return order_; }

  BigInteger logarithm(const BigInteger& x) const {
    return join(p_.logarithm(x), p_.order, q_.logarithm(x), q_.order);
  }
  /// The N-th residue with a given logarithm.
  BigInteger residue(const BigInteger& logarithm) const {
    const BigInteger exponent = logarithm * inverse(n_ % order_, order_) % order_;
    const BigInteger r =
        join(power(p_.generator, exponent, p_.p), p_.p, power(q_.generator, exponent, q_.p), q_.p);
    return power(r, n_, n_ * n_);
  }

  /// The logarithm of the base when the logarithms are multiples of it by numbers below 2^bits: those of two
  /// answers are a fraction of small numbers modulo the order. Nothing when no pair gives one that fits all.
  std::optional<BigInteger> common_base(const std::vector<BigInteger>& logarithms, unsigned bits) const {
    for (const BigInteger& a : logarithms) {
      if (!(gcd(a, order_) == 1)) continue;
      for (const BigInteger& b : logarithms) {
        const BigInteger denominator = small_denominator(b * inverse(a, order_) % order_, bits);
        if (!(gcd(denominator, order_) == 1)) continue;
        const BigInteger base = a * inverse(denominator, order_) % order_;
        bool fits = true;
        for (const BigInteger& x : logarithms) {
          fits = fits && (x * inverse(base, order_) % order_).bits() <= bits;
        }
        if (fits) return base;
      }
    }
    return std::nullopt;
  }

 private:
  static BigInteger join(const BigInteger& a, const BigInteger& m, const BigInteger& b, const BigInteger& n) {
    return a + m * ((b - a) * inverse(m % n, n) % n);
  }
  /// d of the fraction n/d ≡ x modulo the order with n below 2^bits, by Euclid's algorithm.
  BigInteger small_denominator(const BigInteger& x, unsigned bits) const {
    BigInteger r0 = order_;
    BigInteger r1 = x;
    BigInteger d0 = 0;
    BigInteger d1 = 1;
    while (r1.bits() >= bits) {
      const BigInteger quotient = r0 / r1;
      r0 = std::exchange(r1, r0 - quotient * r1);
      d0 = std::exchange(d1, d0 - quotient * d1);
    }
    return d1 < 0 ? BigInteger(0) - d1 : d1;
  }

  std::set<unsigned long> used_;
  SmoothPrime p_, q_;
  BigInteger n_;
  BigInteger order_;  ///< of the logarithms
};

/// Weights that the client reads right, if every re-randomiser is base^α with α below 2^bits.
std::size_t read_through_exponents(const SmoothClient& client, Server& server, const BigInteger& base,
                                   unsigned bits) {
  std::vector<BigInteger> inputs;
  for (std::size_t i = 0; i < kInputs; ++i) {
    inputs.push_back(client.residue(base * power_of_two(bits + kDigitBits * i) % client.order()));
  }
  const BigInteger read = client.logarithm(server.answer(inputs).at(0)) * inverse(base, client.order());
  const auto digits = signed_digits(centred(read, client.order()) / power_of_two(bits), kInputs);
  std::size_t right = 0;
  for (std::size_t i = 0; i < kInputs; ++i) right += digits[i] == server.weight(0, i) ? 1 : 0;
  return right;
}

}  // namespace

TEST_CASE("A modulus with a power of a small prime is not registered; through it a layer could be read",
          "[attacks]") {
  test::SeededRng rng(90);
  const PrimePowerModulus modulus(rng);
  const PublicKey unproved = PublicKey::from_modulus(modulus.n.bytes(), kTest);
  const auto refusal = [&](ByteView wire) -> std::string {
    try {
      const PublicKey key = PublicKey::parse(wire, kTest, ProofPolicy::required);
      return std::to_string(read_through_prime_power(modulus, key, rng)) + " weights read";
    } catch (const InputError& error) {
      return error.code();
    }
  };
  CHECK(refusal(unproved.serialise()) == "key.proof_missing");
  // With the proof of an honest key.
  Bytes wire = unproved.serialise();
  wire[4] = 2;
  const auto proof = PrivateKey::generate(kBits, KeyKind::ordinary, kTest, rng).public_key();
  wire.insert(wire.end(), proof.proof().begin(), proof.proof().end());
  CHECK(refusal(wire) == "key.proof");
  // What the proof is worth: who takes the key without one gives away every weight.
  CHECK(read_through_prime_power(modulus, unproved, rng) == 3 * kInputs);
}

TEST_CASE("Who takes logarithms of re-randomisers learns nothing from them", "[attacks]") {
  test::SeededRng rng(91);
  const SmoothClient client(rng);
  Server server(client.key(), 1, rng);
  // Ciphertexts without randomness: the answer's is the re-randomiser.
  std::vector<BigInteger> logarithms;
  for (unsigned i = 0; i < 24; ++i) {
    logarithms.push_back(client.logarithm(server.answer(std::vector<BigInteger>(kInputs, 1)).at(0)));
  }
  const auto base = client.common_base(logarithms, kBits / 2);
  CHECK_FALSE(base.has_value());
  // A weight is one of 14: 24 guesses hit 12 times in less than one of 10^7 tries.
  CHECK(read_through_exponents(client, server, base.value_or(1), kBits / 2 + 2) < kInputs / 2);
}

TEST_CASE("Re-randomisers have every quadratic character equally often", "[attacks]") {
  test::SeededRng rng(92);
  const auto key = PrivateKey::generate(256, KeyKind::ordinary, kTest, rng);
  const Evaluator evaluator(PublicContext::create(key.public_key(), rng), rng);
  constexpr std::size_t kCount = 4096;
  auto factors = evaluator.encrypt_trivial(WideVector(kCount, 1));
  evaluator.rerandomise_inplace(factors);
  Bytes wire;
  evaluator.serialise(factors, wire);
  const BigInteger p(key.p());
  const BigInteger q(key.q());
  std::map<std::pair<int, int>, std::size_t> seen;
  const std::size_t width = key.public_key().ciphertext_bytes();
  for (std::size_t i = 0; i < kCount; ++i) {
    const BigInteger rho(ByteView(wire).subspan(i * width, width));
    ++seen[{mpz_kronecker(rho.get(), p.get()), mpz_kronecker(rho.get(), q.get())}];
  }
  REQUIRE(seen.size() == 4);
  for (const auto& [characters, count] : seen) {
    CHECK(count > kCount / 4 - 200);  // 7 standard deviations
    CHECK(count < kCount / 4 + 200);
  }
}
