// The attack that remains: a client that follows the transfers but forges the selections which close a step.
// Nothing authenticates them, so that it chooses what the next layer gets. This test states what that costs.
#include <gmpxx.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/network/integer_network.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/ciphertext/sign/sign_protocol.h"
#include "protocols/ciphertext/steps/share.h"
#include "protocols/packing/slots.h"
#include "protocols/session/session.h"
#include "protocols/wire/message.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::protocols;

namespace {

constexpr unsigned kKeyBits = 1024;
constexpr std::size_t kInputs = 6;
constexpr std::size_t kHidden = 24;
constexpr std::size_t kOutputs = 3;
constexpr unsigned kWeightBits = 4;

models::Node dense(std::string name, std::size_t operand, std::size_t outputs, std::size_t inputs,
                   test::SeededRng& rng) {
  models::Node node;
  node.kind = models::NodeKind::dense;
  node.name = std::move(name);
  node.inputs = {static_cast<std::uint32_t>(operand)};
  for (std::size_t i = 0; i < outputs * inputs; ++i)
    node.weights.push_back(static_cast<std::int32_t>(rng.below(1U << kWeightBits)) - 8);
  node.bias = WideVector(outputs, 1);
  for (std::size_t i = 0; i < outputs; ++i)
    node.bias.set_int64(i, static_cast<std::int64_t>(rng.below(201)) - 100);
  return node;
}

/// input ─ dense ─ ReLU ─ dense ─ output, with weights that nobody else knows.
models::IntegerNetwork secret_network(test::SeededRng& rng) {
  models::IntegerNetwork network;
  network.name = "secret";
  network.encoding.low = 0;
  network.encoding.high = 255;
  models::Node input;
  input.name = "in";
  input.shape = {kInputs, 1, 1};
  models::Node relu;
  relu.kind = models::NodeKind::relu;
  relu.name = "relu";
  relu.inputs = {1};
  models::Node output;
  output.kind = models::NodeKind::output;
  output.name = "out";
  output.inputs = {3};
  network.nodes = {input, dense("hidden", 0, kHidden, kInputs, rng), relu,
                   dense("last", 2, kOutputs, kHidden, rng), output};
  network.finish();
  return network;
}

mpz_class power_of_two(unsigned bits) {
  return mpz_class(1) << bits;
}

mpz_class number(std::span<const std::uint64_t> words) {
  mpz_class value;
  mpz_import(value.get_mpz_t(), words.size(), -1, 8, 0, 0, words.data());
  if (words.back() >> 63U != 0) value -= power_of_two(static_cast<unsigned>(64 * words.size()));
  return value;
}

void put(std::span<std::uint64_t> words, const mpz_class& value) {
  mpz_class residue;
  mpz_fdiv_r_2exp(residue.get_mpz_t(), value.get_mpz_t(), 64 * words.size());
  std::ranges::fill(words, 0);
  mpz_export(words.data(), nullptr, -1, 8, 0, 0, residue.get_mpz_t());
}

/// Takes the signed digit of `bits` bits at the bottom of `value` off.
mpz_class take_digit(mpz_class& value, unsigned bits) {
  mpz_class digit;
  mpz_fdiv_r_2exp(digit.get_mpz_t(), value.get_mpz_t(), bits);
  if (digit >= power_of_two(bits - 1)) digit -= power_of_two(bits);
  value = (value - digit) >> bits;
  return digit;
}

unsigned log2_above(std::size_t value) {
  unsigned bits = 0;
  while ((std::size_t{1} << bits) < value) ++bits;
  return bits;
}

/// How the plaintext of the logits is shared out: what wrong guesses leave, then |x|·C of each probed neuron,
/// then ±C, where C = Σ_o weight(o)·2^(slot·o) is the neuron's column of the last layer as one integer.
struct Room {
  Room(unsigned slot, std::size_t outputs, unsigned value_bits, std::size_t hidden, unsigned key_bits)
      : column(static_cast<unsigned>(slot * (outputs - 1)) + kWeightBits + 1),
        product(column + value_bits),
        rest(std::max(product, static_cast<unsigned>(slot * outputs)) + log2_above(hidden) + 2),
        neurons((key_bits - 2 - rest) / (column + product)) {}
  unsigned column, product, rest;
  std::size_t neurons;  ///< in one session

  std::size_t sessions(std::size_t hidden) const { return (hidden + neurons - 1) / neurons; }
};

/// A client with an honest key that follows everything but the selections. The messages of a ClientSession
/// are the honest part.
struct Thief {
  explicit Thief(std::shared_ptr<const ServedModel> served)
      : model(std::move(served)),
        owner(std::make_shared<paillier::KeyOwner>(paillier::PrivateKey::generate(
            kKeyBits, paillier::KeyKind::ordinary, paillier::KeySizePolicy::insecure_test))),
        context(paillier::PublicContext::create(owner->public_key())),
        plan(model->bundle(), sign_test_named("oblivious"), kKeyBits),
        slots(logits_layout(plan.output_bits(), kKeyBits)),
        room(slots.slot_bits, kOutputs, plan.steps().at(0).bits, kHidden, kKeyBits) {}

  /// One inference in which the next layer gets B·x + A of each neuron if x ≥ 0, else (1 − B)·x − A.
  /// @return the plaintext of the logits without the slots' offsets
  mpz_class infer(const std::vector<mpz_class>& b, const std::vector<mpz_class>& a) {
    ++sessions;
    ServerSession server(model, context);
    ClientSession client(model->bundle(), owner, WideVector(kInputs, 1));
    const Step& step = plan.steps().at(0);
    const std::size_t limbs = packed_limbs(kKeyBits) + 1;
    Bytes reply = server.handle(client.start());
    const WideVector shares = open_shares(*owner, parse_message(reply).ciphertexts, kHidden, step.bits);
    for (;;) {
      const std::optional<ByteView> next = client.handle(reply);
      REQUIRE(next);
      Bytes message(next->begin(), next->end());
      if (const Message honest = parse_message(message); honest.shape.ciphertexts != 0) {
        const std::size_t width = owner->public_key().ciphertext_bytes();
        const WideVector minus_beta = owner->decrypt(honest.ciphertexts.first(kHidden * width), kHidden, 1);
        WideVector minus(kHidden, limbs);
        WideVector selected(kHidden, limbs);
        for (std::size_t j = 0; j < kHidden; ++j) {
          // The server makes v = selected + minus·r, and then v, or x − v where its bit f is 1. If x ≥ 0 then
          // f = 1 − β, which is what is assumed.
          const bool flipped = minus_beta.to_int64(j) == 0;
          const mpz_class factor = flipped ? 1 - b[j] : b[j];
          const mpz_class addend = flipped ? -a[j] : a[j];
          put(minus[j], -factor);
          put(selected[j], factor * number(shares[j]) + addend);
        }
        message.resize(message.size() - honest.ciphertexts.size());
        owner->encrypt(minus, message);
        owner->encrypt(selected, message);
      }
      reply = server.handle(message);
      if (server.finished()) break;
    }
    mpz_class plaintext = number(owner->decrypt(parse_message(reply).ciphertexts, 1, limbs)[0]);
    for (std::size_t o = 0; o < kOutputs; ++o)
      plaintext -= power_of_two(static_cast<unsigned>(o * slots.slot_bits) + slots.offset_bit);
    return plaintext;
  }

  /// Signs need not be known: every neuron is taken for x ≥ 0, and what comes back tells where that was
  /// wrong.
  void steal() {
    columns.resize(kHidden);
    for (std::size_t first = 0; first < kHidden; first += room.neurons) {
      const std::size_t count = std::min(room.neurons, kHidden - first);
      std::vector<mpz_class> b(kHidden, 0);
      std::vector<mpz_class> a(kHidden, 0);
      for (std::size_t k = 0; k < count; ++k) {
        b[first + k] = power_of_two(room.rest + static_cast<unsigned>(k) * room.product);
        a[first + k] = power_of_two(room.rest + static_cast<unsigned>(count) * room.product +
                                    static_cast<unsigned>(k) * room.column);
      }
      mpz_class plaintext = infer(b, a);
      take_digit(plaintext, room.rest);
      std::vector<mpz_class> products;
      for (std::size_t k = 0; k < count; ++k) products.push_back(take_digit(plaintext, room.product));
      for (std::size_t k = 0; k < count; ++k) {
        columns[first + k] = take_digit(plaintext, room.column);
        // C or −C as x ≥ 0 or not, and |x|·C: different signs tell that x < 0.
        if (sgn(columns[first + k]) * sgn(products[k]) < 0) columns[first + k] = -columns[first + k];
      }
      CHECK(sgn(plaintext) == 0);
    }
  }

  std::int64_t weight(std::size_t output, std::size_t neuron) const {
    mpz_class column = columns[neuron];
    mpz_class digit;
    for (std::size_t o = 0; o <= output; ++o) digit = take_digit(column, slots.slot_bits);
    return digit.get_si();
  }

  std::shared_ptr<const ServedModel> model;
  std::shared_ptr<const paillier::KeyOwner> owner;
  std::shared_ptr<const paillier::PublicContext> context;
  RoundPlan plan;
  SlotLayout slots;
  Room room;
  std::vector<mpz_class> columns;
  std::size_t sessions = 0;
};

}  // namespace

TEST_CASE("forged selections read the last layer: what it costs", "[clever]") {
  test::SeededRng rng(97);
  const auto model = ServedModel::create(secret_network(rng));
  Thief thief(model);
  thief.steal();
  const std::vector<std::int32_t>& weights = model->network().nodes[3].weights;
  std::size_t right = 0;
  for (std::size_t o = 0; o < kOutputs; ++o) {
    for (std::size_t j = 0; j < kHidden; ++j) right += thief.weight(o, j) == weights[o * kHidden + j] ? 1 : 0;
  }
  CHECK(right == kOutputs * kHidden);
  CAPTURE(thief.room.neurons, thief.slots.slot_bits, thief.plan.steps()[0].bits);
  CHECK(thief.sessions == thief.room.sessions(kHidden));
  CHECK(thief.sessions == 3);  // as SECURITY.md says
}
