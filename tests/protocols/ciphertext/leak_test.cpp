// What a client can find out about magnitudes from its view of a sign test: a lot from the blinded one when
// it repeats an input, nothing from the oblivious one. The figures of SECURITY.md come from here (run with
// -s).
#include <catch2/catch.hpp>
#include <cmath>

#include "protocols/ciphertext/sign/blinded_sign_protocol.h"
#include "protocols/ciphertext/steps/share.h"
#include "protocols/packing/slots.h"
#include "protocols/security.h"
#include "tests/protocols/parties.h"

namespace popcorn::protocols {
namespace {

constexpr unsigned kBits = 24;
constexpr std::size_t kRepetitions = 3000;

double mean_log2(const WideVector& values) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += std::log2(std::abs(values.to_double(i)) + 0.5);
  return sum / static_cast<double>(values.size());
}

/// The client's t of one neuron of value x, over many inferences.
WideVector blinded_view(std::int64_t x, Rng& rng) {
  const test::Party& keys = test::party(1024);
  const paillier::Evaluator evaluator(keys.context, rng);
  const auto batch =
      keys.encrypt(evaluator, WideVector::from_int64(std::vector<std::int64_t>(kRepetitions, x)));
  const auto server = blinded_sign_test().server(evaluator, rng);
  server->begin({kRepetitions, kBits, 1024});
  Bytes section;
  server->question(0, {batch, WideVector()}, section);
  const SlotLayout layout = slot_layout(kBits + kBlindingBits + 1, kBits + kBlindingBits, 1024);
  return open_slots(*keys.owner, section, layout, kRepetitions);
}

/// The client's c of the same neuron: all that depends on x in the oblivious test's view.
WideVector oblivious_view(std::int64_t x, Rng& rng) {
  const test::Party& keys = test::party(1024);
  const paillier::Evaluator evaluator(keys.context, rng);
  const auto batch =
      keys.encrypt(evaluator, WideVector::from_int64(std::vector<std::int64_t>(kRepetitions, x)));
  Bytes sealed;
  seal_shares(evaluator, batch, kBits, rng, sealed);
  return open_shares(*keys.owner, sealed, kRepetitions, kBits);
}

TEST_CASE("repetition recovers magnitudes from the blinded view", "[leak]") {
  // E[log2 τ] ≈ κ/2, so mean log2 |t| − κ/2 estimates log2 |x| with a standard error of κ/√12/√repetitions
  // bits.
  test::SeededRng rng(71);
  for (const int exponent : {2, 12, 22}) {
    const double estimate = mean_log2(blinded_view(std::int64_t{1} << exponent, rng)) - kBlindingBits / 2.0;
    const double standard_error = kBlindingBits / std::sqrt(12.0) / std::sqrt(double{kRepetitions});
    INFO("log2 |x| = " << exponent << ", recovered " << estimate << " ± " << standard_error);
    CHECK(std::abs(estimate - exponent) < 4.5 * standard_error + 1);
  }
}

TEST_CASE("the same attack learns nothing from the oblivious view", "[leak]") {
  test::SeededRng rng(72);
  std::vector<double> means;
  for (const int exponent : {2, 12, 22})
    means.push_back(mean_log2(oblivious_view(std::int64_t{1} << exponent, rng)));
  // log2 of a uniform value has a standard deviation of 1/ln 2 = 1.44 bits whatever is masked.
  const double standard_error = 1.443 / std::sqrt(double{kRepetitions});
  for (const double mean : means) {
    INFO("mean log2 c = " << mean << ", first " << means.front());
    CHECK(std::abs(mean - means.front()) < 4.5 * std::sqrt(2.0) * standard_error);
  }
}

}  // namespace
}  // namespace popcorn::protocols
