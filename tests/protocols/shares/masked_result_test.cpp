// The carry rule, exhaustively, and the layouts' places.
#include "protocols/shares/layer/masked_result.h"

#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "tests/paillier/expect_error.h"
#include "tests/protocols/shares/packed_cases.h"

namespace popcorn::protocols::shares {
namespace {

/// One input, so many outputs, all in one plaintext.
PackedLayout narrow_layout(std::int64_t outputs, unsigned ring, unsigned slot_bits) {
  WeightedLayer layer;
  layer.name = "dense";
  layer.input = {1, 1, 1};
  layer.output = {outputs, 1, 1};
  layer.ring = ring;
  layer.slot_bits = slot_bits;
  LayoutChoice choice;
  choice.outputs_together = static_cast<std::size_t>(outputs);
  return {layer, 256, choice};
}

/// Every plaintext whose slots keep to [0, 2^(B − 1)) with every mask modulo N. Counts in `refused` what a
/// client would not take.
void check_all(std::int64_t outputs, unsigned ring, unsigned slot_bits, std::uint64_t modulus,
               std::uint64_t& refused) {
  const PackedLayout layout = narrow_layout(outputs, ring, slot_bits);
  const auto slots = static_cast<unsigned>(outputs);
  const std::uint64_t top_bits = [&] {
    std::uint64_t bits = 0;
    for (unsigned slot = 0; slot < slots; ++slot) bits |= std::uint64_t{1} << ((slot + 1) * slot_bits - 1);
    return bits;
  }();
  WideVector residue(1, 4), mask(1, 4);
  std::uint64_t wrong = 0;
  for (std::uint64_t content = 0; content < std::uint64_t{1} << (slots * slot_bits); ++content) {
    if ((content & top_bits) != 0) continue;
    ot::Words expected;
    for (unsigned slot = 0; slot < slots; ++slot) {
      expected.push_back(static_cast<std::uint32_t>(content >> (slot * slot_bits)) & ((1U << ring) - 1));
    }
    for (std::uint64_t r = 0; r < modulus; ++r) {
      mask[0][0] = r;
      residue[0][0] = (content + r) % modulus;
      if (residue[0][0] < std::uint64_t{1} << (slots * slot_bits)) {
        ++refused;
        continue;
      }
      REQUIRE(content + r < modulus);  // a wrap is always refused
      if (test::opened(client_result(layout, residue), server_result(layout, mask), ring) != expected)
        ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("digits, their neighbours' top bits and 1 give the content of every slot, exhaustively",
          "[shares]") {
  std::uint64_t refused = 0;
  check_all(1, 2, 3, 101, refused);
  check_all(2, 2, 3, 211, refused);
  check_all(2, 3, 4, 1021, refused);
  check_all(3, 1, 2, 251, refused);
  check_all(3, 2, 3, 1999, refused);
  CHECK(refused > 0);
}

TEST_CASE("no two outputs share a slot, and no slot lies beyond those looked after", "[shares]") {
  test::SeededRng rng(31);
  for (int round = 0; round < 200; ++round) {
    const test::PackedCase made = round % 3 == 0 ? test::random_dense(rng) : test::random_convolution(rng);
    const unsigned bits = round % 2 == 0 ? 2048 : 512;
    const PackedLayout layout = cheapest_layout(made.layer, bits);
    REQUIRE(layout.slots() * made.layer.slot_bits <= bits - kUnusedBits);
    std::set<std::pair<std::size_t, std::size_t>> seen;
    const models::Shape& shape = made.layer.output;
    for (std::int64_t i = 0; i < shape.size(); ++i) {
      const std::int64_t plane = shape.height * shape.width;
      const PackedLayout::Place place =
          layout.output_place(i / plane, i % plane / shape.width, i % shape.width);
      REQUIRE(place.ciphertext < layout.outputs());
      REQUIRE(place.slot < layout.slots());
      REQUIRE(seen.insert({place.ciphertext, place.slot}).second);
    }
  }
}

TEST_CASE("layers that make no sense are refused by name", "[shares]") {
  const WeightedLayer good{"conv1", {2, 8, 8}, {4, 6, 6}, {3, 3}, 1, 15, 23};
  CHECK_NOTHROW(cheapest_layout(good, 2048));
  const auto refused = [&](const auto& change) {
    WeightedLayer layer = good;
    change(layer);
    const std::string what = test::expect_error("layer.invalid", [&] { cheapest_layout(layer, 2048); });
    CHECK(what.find("conv1") != std::string::npos);
  };
  refused([](WeightedLayer& layer) { layer.ring = 0; });
  refused([](WeightedLayer& layer) { layer.ring = 33; });
  refused([](WeightedLayer& layer) { layer.slot_bits = 15; });
  refused([](WeightedLayer& layer) { layer.slot_bits = 61; });
  refused([](WeightedLayer& layer) { layer.groups = 3; });
  refused([](WeightedLayer& layer) { layer.groups = 0; });
  refused([](WeightedLayer& layer) { layer.window.stride_width = 0; });
  refused([](WeightedLayer& layer) { layer.window.kernel_height = -1; });
  refused([](WeightedLayer& layer) { layer.window.pad_left = -1; });
  refused([](WeightedLayer& layer) { layer.output.width = 7; });
  refused([](WeightedLayer& layer) { layer.input.channels = 0; });
  refused([](WeightedLayer& layer) { layer.output.channels = std::int64_t{1} << 27; });
  refused([](WeightedLayer& layer) {
    layer.input.height = std::int64_t{1} << 16;
    layer.window.kernel_height = (std::int64_t{1} << 16) - 5;
  });
}

TEST_CASE("ciphertexts of known layers", "[shares]") {
  // Both convolutions of a small network for MNIST, and a 3×3 convolution with padding.
  WeightedLayer first{"conv1", {1, 28, 28}, {16, 24, 24}, {5, 5}, 1, 15, 23};
  WeightedLayer dense{"fc1", {256, 1, 1}, {100, 1, 1}, {}, 1, 15, 24};
  CHECK(cheapest_layout(first, 2048).inputs() == 60);
  CHECK(cheapest_layout(first, 2048).outputs() == 128);
  CHECK(cheapest_layout(dense, 2048).inputs() == 64);
  CHECK(cheapest_layout(dense, 2048).outputs() == 5);
}

}  // namespace
}  // namespace popcorn::protocols::shares
