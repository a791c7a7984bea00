// Packed layers against the plain sums: W·c mod 2^w from both parties' digits and the carry rule.
#include "protocols/shares/layer/packed_layer.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/paillier/expect_error.h"
#include "tests/protocols/parties.h"
#include "tests/protocols/shares/packed_cases.h"

namespace popcorn::protocols::shares {
namespace {

using test::PackedCase;
using test::SeededRng;

constexpr unsigned kBits = 512;

/// One layer through both parties.
void check_layer(const PackedCase& made, const PackedLayout& layout, SeededRng& rng) {
  const LayoutChoice& choice = layout.choice();
  INFO("input " << made.layer.input.to_string() << " output " << made.layer.output.to_string() << " ring "
                << made.layer.ring << " slot " << made.layer.slot_bits << " segments " << layout.segments()
                << " steps " << layout.steps() << " together " << choice.inputs_together << " "
                << choice.outputs_together << " planes " << static_cast<int>(choice.planes) << " shifts "
                << static_cast<int>(choice.shifts));
  const test::Party& party = test::party(layout.key_bits());
  const PackedLayer layer(made.node, layout);
  const ot::Words shares = test::random_shares(rng, made.layer);
  Bytes request;
  encrypt_shares(layout, *party.owner, shares, request);
  const PackedCost cost = layer.cost(party.owner->public_key().kind());
  CHECK(request.size() == cost.bytes_up);
  const paillier::Evaluator evaluator(party.context, rng);
  Bytes response;
  const MaskedResult server = layer.evaluate(evaluator, request, response, rng);
  CHECK(response.size() == cost.bytes_down);
  CHECK(evaluator.counts().multiplications == cost.multiplications);
  const MaskedResult client = open_result(layout, *party.owner, response);
  CHECK(test::opened(client, server, made.layer.ring) == test::plain_result(made, shares));
}

/// Any layout of the layer, perhaps one that does not fit.
LayoutChoice random_choice(SeededRng& rng, const WeightedLayer& layer) {
  const std::size_t slots = most_slots(layer.slot_bits, kBits);
  LayoutChoice choice;
  choice.planes = rng.between(0, 1) == 0 ? LayoutChoice::Planes::phases : LayoutChoice::Planes::columns;
  choice.shifts = rng.between(0, 1) == 0 ? LayoutChoice::Shifts::inputs : LayoutChoice::Shifts::outputs;
  const std::size_t places = window_geometry(layer, choice.planes).places;
  choice.segments = ceil_div(places, slots) + rng.below(4);
  const std::size_t length = ceil_div(places, choice.segments);
  choice.steps = rng.below((slots - length) / 2 + 1);
  if (choice.segments == 1) {
    choice.inputs_together = channels_together()[rng.below(6)];
    choice.outputs_together = 1 + rng.below(4);
  }
  return choice;
}

TEST_CASE("packed convolutions give W·c exactly in the cheapest layout", "[shares]") {
  SeededRng rng(1);
  for (int round = 0; round < 40; ++round) {
    const PackedCase made = test::random_convolution(rng);
    check_layer(made, cheapest_layout(made.layer, round % 4 == 0 ? 1024 : kBits), rng);
  }
}

TEST_CASE("packed dense layers give W·c exactly in the cheapest layout", "[shares]") {
  SeededRng rng(2);
  for (int round = 0; round < 25; ++round) {
    const PackedCase made = test::random_dense(rng);
    check_layer(made, cheapest_layout(made.layer, kBits), rng);
  }
}

TEST_CASE("every layout that fits gives W·c exactly", "[shares]") {
  SeededRng rng(3);
  int shifted_inputs = 0, shifted_outputs = 0, together = 0;
  for (int tried = 0; tried < 200;) {
    const PackedCase made = rng.below(2) == 0 ? test::random_dense(rng) : test::random_convolution(rng);
    try {
      const PackedLayout layout(made.layer, kBits, random_choice(rng, made.layer));
      check_layer(made, layout, rng);
      const bool inputs = layout.choice().shifts == LayoutChoice::Shifts::inputs;
      if (layout.copies() > 1) ++(inputs ? shifted_inputs : shifted_outputs);
      if (layout.choice().inputs_together > 1) ++together;
      ++tried;
    } catch (const Error& error) {
      REQUIRE(error.code() == "layout.choice");
    }
  }
  CHECK(shifted_inputs > 10);
  CHECK(shifted_outputs > 10);
  CHECK(together > 5);
}

TEST_CASE("weights that could fill a slot, and layers that fit no plaintext, are refused", "[shares]") {
  SeededRng rng(4);
  PackedCase made = test::random_case(rng, {{3, 4, 4}, 2, 1, {3, 3}, 12}, 7, 0);
  made.layer.slot_bits -= 1;
  const PackedLayout narrow = cheapest_layout(made.layer, kBits);
  test::expect_error<Error>("layer.slot", [&] { const PackedLayer layer(made.node, narrow); });
  made.layer.slot_bits = 60;
  test::expect_error("model.too_wide", [&] { cheapest_layout(made.layer, 96); });
}

TEST_CASE("a layer without weights gives zeros", "[shares]") {
  SeededRng rng(5);
  const PackedCase made = test::random_case(rng, {{2, 3, 3}, 2, 1, {2, 2}, 8}, 7, 100);
  check_layer(made, cheapest_layout(made.layer, kBits), rng);
}

/// How far 16 counts are from equal: χ² with 15 degrees of freedom.
double chi_squared(const ot::Words& words, unsigned shift) {
  std::array<double, 16> counts{};
  for (const std::uint32_t word : words) counts[(word >> shift) & 15] += 1;
  const double expected = static_cast<double>(words.size()) / 16;
  double sum = 0;
  for (const double count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

TEST_CASE("what each party keeps is uniform whatever the weights and the shares are", "[shares]") {
  constexpr double kFarFromUniform = 60;  // by chance once in 4 million
  SeededRng rng(6);
  for (const std::int32_t most : {0, 1, 7}) {
    const PackedCase made = test::random_case(rng, {{1, 12, 12}, 24, 1, {3, 3}, 12}, most, 0);
    const test::Party& party = test::party(kBits);
    const PackedLayout layout = cheapest_layout(made.layer, kBits);
    const PackedLayer layer(made.node, layout);
    for (const std::uint32_t share : {0U, 0xfffU}) {
      Bytes request, response;
      encrypt_shares(layout, *party.owner, ot::Words(144, share), request);
      const MaskedResult server = layer.evaluate(paillier::Evaluator(party.context), request, response);
      const MaskedResult client = open_result(layout, *party.owner, response);
      for (const unsigned shift : {0U, 4U, 8U}) {
        CHECK(chi_squared(client.words, shift) < kFarFromUniform);
        CHECK(chi_squared(server.words, shift) < kFarFromUniform);
      }
      CHECK(chi_squared(client.words, 2) < kFarFromUniform);
    }
  }
}

TEST_CASE("a result that may have wrapped modulo N is refused", "[shares]") {
  SeededRng rng(7);
  const PackedCase made = test::random_dense(rng);
  const PackedLayout layout = cheapest_layout(made.layer, kBits);
  const test::Party& party = test::party(kBits);
  const std::size_t bits = layout.slots() * made.layer.slot_bits;
  const auto response_of = [&](bool small) {
    WideVector values(layout.outputs(), paillier::residue_limbs(kBits));
    for (std::size_t i = 0; i < values.size(); ++i) values[i][bits / 64] = std::uint64_t{1} << (bits % 64);
    if (small) {  // 2^bits − 1 in the last
      const auto words = values[values.size() - 1];
      words[bits / 64] -= 1;
      for (std::size_t k = 0; k < bits / 64; ++k) words[k] = ~std::uint64_t{0};
    }
    Bytes response;
    party.owner->encrypt(values, response);
    return response;
  };
  CHECK_NOTHROW(open_result(layout, *party.owner, response_of(false)));
  test::expect_error("preparation.wrapped", [&] { open_result(layout, *party.owner, response_of(true)); });
}

}  // namespace
}  // namespace popcorn::protocols::shares
