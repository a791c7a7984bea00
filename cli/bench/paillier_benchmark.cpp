#include "cli/bench/paillier_benchmark.h"

#include <tbb/global_control.h>

#include <algorithm>
#include <array>
#include <functional>

#include "base/error.h"
#include "cli/bench/gmp_textbook.h"
#include "paillier/evaluator.h"
#include "paillier/kernels/kernel_registry.h"
#include "paillier/kernels/modulus.h"
#include "paillier/keys/key_owner.h"

namespace popcorn::cli {

using paillier::CiphertextBatch;
using paillier::Evaluator;
using paillier::KeyOwner;
using paillier::LinearMap;
using paillier::PublicContext;
using paillier::WeightedSumPlan;
namespace kernels = paillier::kernels;

namespace {

constexpr std::size_t kBatch = 512;
constexpr unsigned kSlotBits = 65;
constexpr double kSampleSeconds = 0.02;
constexpr std::size_t kRegistrationSamples = 3;  ///< at most: one takes seconds
constexpr std::size_t kRegistrationPowers = 98;  ///< of GMP: as many N-th powers as a 3072-bit key takes
constexpr std::array<std::string_view, 12> kPrimitives = {
    "modmul",       "modsqr",        "encrypt_owner", "encrypt_public", "decrypt",     "add",
    "scalar_mul_8", "scalar_mul_64", "weighted_sum",  "pack",           "rerandomise", "register_key"};

/// A dense layer of 8 outputs with all weights present, magnitudes 1 … 7.
LinearMap dense_layer(std::size_t inputs, std::size_t channels, Rng& rng) {
  LinearMap map;
  map.inputs = inputs;
  map.taps = inputs;
  map.channels = channels;
  map.row_start.push_back(0);
  for (std::size_t channel = 0; channel < channels; ++channel) {
    for (std::uint32_t tap = 0; tap < inputs; ++tap) {
      map.tap.push_back(tap);
      const auto magnitude = static_cast<std::int32_t>(1 + rng.below(7));
      map.weight.push_back(rng.below(2) == 0 ? magnitude : -magnitude);
    }
    map.row_start.push_back(static_cast<std::uint32_t>(map.tap.size()));
  }
  for (std::uint32_t i = 0; i < inputs; ++i) map.input_index.push_back(i);
  map.bias = WideVector(channels, 1);
  return map;
}

/// Operands and tables for one kernel.
class KernelSide {
 public:
  KernelSide(const kernels::Kernel& kernel, const paillier::PrivateKey& key)
      : kernel_(kernel),
        key_(key.public_key().serialise()),
        owner_(copy_of(key), system_rng(), &kernel),
        context_(PublicContext::create(key.public_key(), system_rng(), &kernel)),
        evaluator_(context_),
        values_(WideVector(kBatch, 1)),
        plan_(dense_layer(512, 8, system_rng())) {
    for (std::size_t i = 0; i < kBatch; ++i)
      values_.set_int64(i, static_cast<std::int64_t>(system_rng().below(256)));
    owner_.encrypt(values_, wire_);
    x_ = evaluator_.parse(wire_, kBatch);
    y_ = x_.clone();
    evaluator_.rerandomise_inplace(y_);
    std::vector<std::uint32_t> places(512);
    for (std::uint32_t i = 0; i < 512; ++i) places[i] = i % kBatch;
    layer_inputs_ = x_.gather(places);
  }

  Contender contender(const std::string& op) {
    const auto batches = [](auto body) {
      return Contender{[body](std::size_t count) {
                         for (std::size_t done = 0; done < count; done += kBatch) body();
                       },
                       kBatch};
    };
    const kernels::Modulus& modulus = x_.modulus();
    if (op == "modmul") {
      return batches([this, &modulus] {
        for (std::size_t g = 0; g < x_.groups(); ++g) modulus.multiply(y_.group(g), y_.group(g), x_.group(g));
      });
    }
    if (op == "modsqr") {
      return batches([this, &modulus] {
        for (std::size_t g = 0; g < x_.groups(); ++g) modulus.square(y_.group(g), y_.group(g));
      });
    }
    if (op == "encrypt_owner") {
      return batches([this] {
        Bytes out;
        owner_.encrypt(values_, out);
      });
    }
    if (op == "encrypt_public") return batches([this] { keep(evaluator_.encrypt(values_)); });
    if (op == "decrypt") return batches([this] { owner_.decrypt(wire_, kBatch, 1); });
    if (op == "add") return batches([this] { keep(evaluator_.add(x_, y_)); });
    if (op == "scalar_mul_8") return batches([this] { keep(evaluator_.scalar_multiply(x_, scalars(8), 8)); });
    if (op == "scalar_mul_64")
      return batches([this] { keep(evaluator_.scalar_multiply(x_, scalars(64), 64)); });
    if (op == "weighted_sum") {
      const std::size_t weights = plan_.map().weight.size();
      return {[this, weights](std::size_t count) {
                for (std::size_t done = 0; done < count; done += weights) {
                  keep(evaluator_.weighted_sum(plan_, layer_inputs_));
                }
              },
              weights};
    }
    if (op == "pack") {
      // Each of 8 ciphertexts takes as many values as fit.
      const std::size_t per = paillier::slots_per_ciphertext(evaluator_.key().bits(), kSlotBits);
      const std::size_t values = 8 * per;
      std::vector<std::uint32_t> places(values);
      for (std::uint32_t i = 0; i < values; ++i) places[i] = i % kBatch;
      auto inputs = std::make_shared<CiphertextBatch>(x_.gather(places));
      return {[this, inputs, per, values](std::size_t count) {
                for (std::size_t done = 0; done < count; done += values)
                  keep(evaluator_.pack(*inputs, kSlotBits, per));
              },
              values};
    }
    if (op == "register_key") {
      return {[this](std::size_t count) {
                for (std::size_t done = 0; done < count; ++done) register_key();
              },
              1};
    }
    return batches([this] { evaluator_.rerandomise_inplace(y_); });
  }

  /// Modular multiplications modulo N² that one operation counts.
  double multiplications(const Contender& contender) {
    const std::uint64_t before = evaluator_.counts().multiplications;
    contender.work(contender.batch);
    return static_cast<double>(evaluator_.counts().multiplications - before) /
           static_cast<double>(contender.batch);
  }

 private:
  static paillier::PrivateKey copy_of(const paillier::PrivateKey& key) {
    constexpr auto kAnySize = paillier::KeySizePolicy::insecure_test;  // whoever made the key has decided
    if (key.public_key().kind() == paillier::KeyKind::ordinary)
      return paillier::PrivateKey::from_primes(key.p(), key.q(), kAnySize);
    return paillier::PrivateKey::from_subgroup_primes(key.p(), key.q(), key.p_order(), key.q_order(),
                                                      key.public_key().generator(), kAnySize);
  }
  WideVector scalars(unsigned bits) const {
    WideVector k(kBatch, 2);
    for (std::size_t i = 0; i < kBatch; ++i) k[i][0] = system_rng().next_u64() >> (64 - bits);
    return k;
  }
  void keep(CiphertextBatch batch) { result_ = std::move(batch); }

  /// What a server does with a key that it never saw: checks, the proof, generators and their tables.
  void register_key() const {
    PublicContext::create(paillier::PublicKey::parse(key_, paillier::KeySizePolicy::insecure_test,
                                                     paillier::ProofPolicy::required),
                          system_rng(), &kernel_);
  }

  const kernels::Kernel& kernel_;
  Bytes key_;
  KeyOwner owner_;
  std::shared_ptr<const PublicContext> context_;
  Evaluator evaluator_;
  WideVector values_;
  WeightedSumPlan plan_;
  Bytes wire_;
  CiphertextBatch x_, y_, layer_inputs_, result_;
};

Contender gmp_contender(GmpTextbook& gmp, const std::string& op) {
  const auto call = [&gmp](auto method) {
    return Contender{[&gmp, method](std::size_t n) { (gmp.*method)(n); }, 1};
  };
  if (op == "modmul" || op == "add") return call(&GmpTextbook::multiply);
  if (op == "modsqr") return call(&GmpTextbook::square);
  if (op == "encrypt_owner" || op == "encrypt_public") return call(&GmpTextbook::encrypt);
  if (op == "decrypt") return call(&GmpTextbook::decrypt);
  if (op == "scalar_mul_8") return {[&gmp](std::size_t n) { gmp.scalar_multiply(n, 8); }, 1};
  if (op == "scalar_mul_64") return {[&gmp](std::size_t n) { gmp.scalar_multiply(n, 64); }, 1};
  if (op == "weighted_sum") return call(&GmpTextbook::weighted_sum);
  if (op == "pack") return {[&gmp](std::size_t n) { gmp.pack(n, kSlotBits); }, 1};
  if (op == "register_key") return {[&gmp](std::size_t n) { gmp.rerandomise(kRegistrationPowers * n); }, 1};
  return call(&GmpTextbook::rerandomise);
}

}  // namespace

std::vector<std::string_view> primitive_names() {
  return {kPrimitives.begin(), kPrimitives.end()};
}

PaillierBenchmark run_paillier_benchmark(const paillier::PrivateKey& key, std::size_t samples,
                                         const std::string& only, const BenchmarkProgress& progress) {
  if (!only.empty() && std::ranges::find(kPrimitives, only) == kPrimitives.end()) {
    std::string names;
    for (const std::string_view name : kPrimitives) names += (names.empty() ? "" : ", ") + std::string(name);
    throw UsageError("bench.unknown_op", "there is no operation \"" + only + "\"; known: " + names);
  }
  const tbb::global_control one_core(tbb::global_control::max_allowed_parallelism, 1);
  const kernels::Kernel& chosen_kernel = kernels::active();
  KernelSide chosen(chosen_kernel, key);
  KernelSide portable(kernels::kPortable, key);
  GmpTextbook gmp(key, system_rng());
  PaillierBenchmark benchmark{chosen_kernel.name, key.public_key().bits(), {}};
  for (std::size_t i = 0; i < kPrimitives.size(); ++i) {
    const std::string op(kPrimitives[i]);
    if (!only.empty() && only != op) continue;
    if (progress) progress(i, kPrimitives.size(), op);
    const Contender contender = chosen.contender(op);
    const auto timings = time_in_turn(
        {contender, portable.contender(op), gmp_contender(gmp, op)},
        op == "register_key" ? std::min(samples, kRegistrationSamples) : samples, kSampleSeconds);
    benchmark.figures.push_back({op, timings[0], timings[1], timings[2], chosen.multiplications(contender)});
  }
  return benchmark;
}

}  // namespace popcorn::cli
