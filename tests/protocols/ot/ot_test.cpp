// The oblivious-transfer extension: correctness of every transfer, the code's distances, the ranks of the
// fold.
#include <bitset>
#include <catch2/catch.hpp>

#include "base/error.h"
#include "protocols/ot/base_transfer.h"
#include "protocols/ot/bit_matrix.h"
#include "protocols/ot/extension.h"
#include "tests/protocols/parties.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::protocols::ot {
namespace {

struct Seeds {
  explicit Seeds(Rng& rng) : receiver(ReceiverSeeds::draw(rng)) {
    rng.fill(sender.choices);
    for (std::size_t i = 0; i < kCodeBits; ++i) {
      sender.choices[i] &= 1;
      sender.chosen[i] = receiver.pairs[i][sender.choices[i]];
    }
  }
  ReceiverSeeds receiver;
  SenderSeeds sender;
};

std::vector<std::uint8_t> random_values(test::SeededRng& rng, std::size_t count, unsigned bound) {
  std::vector<std::uint8_t> values(count);
  for (auto& value : values) value = static_cast<std::uint8_t>(rng.below(bound));
  return values;
}

TEST_CASE("codewords differ in half of their bits", "[ot]") {
  for (unsigned v = 0; v < kMaxChoices; ++v) {
    for (unsigned w = 0; w < v; ++w) {
      unsigned distance = 0;
      for (std::size_t i = 0; i < kCodeBits; ++i) distance += code_bit(v, i) ^ code_bit(w, i);
      REQUIRE(distance == 128);
    }
  }
}

TEST_CASE("the fold keeps at least 127 bits of every difference", "[ot]") {
  for (unsigned difference = 1; difference < kMaxChoices; ++difference) {
    std::vector<std::bitset<128>> images;
    for (std::size_t i = 0; i < kCodeBits; ++i) {
      if (code_bit(difference, i) == 0) continue;
      std::vector<std::uint8_t> unit(kCodeBits);
      unit[i] = 1;
      fold_columns(unit, 1);
      std::bitset<128> image;
      for (std::size_t k = 0; k < 128; ++k) image[k] = unit[k] != 0;
      images.push_back(image);
    }
    std::size_t rank = 0;
    for (std::size_t column = 0; column < 128; ++column) {
      std::size_t pivot = rank;
      while (pivot < images.size() && !images[pivot][column]) ++pivot;
      if (pivot == images.size()) continue;
      std::swap(images[pivot], images[rank]);
      for (std::size_t i = rank + 1; i < images.size(); ++i) {
        if (images[i][column]) images[i] ^= images[rank];
      }
      ++rank;
    }
    INFO("difference " << difference);
    REQUIRE(rank >= 127);
  }
}

TEST_CASE("transposition moves every bit", "[ot]") {
  test::SeededRng rng(41);
  for (const std::size_t bytes : {1, 2, 7, 16, 33}) {
    Bytes columns(kRowBits * bytes);
    rng.fill(columns);
    const std::vector<Block> rows = transpose(columns, bytes);
    REQUIRE(rows.size() == 8 * bytes);
    for (std::size_t j = 0; j < rows.size(); ++j) {
      for (std::size_t i = 0; i < kRowBits; ++i) {
        const unsigned expected = (columns[i * bytes + j / 8] >> (j % 8)) & 1U;
        const std::uint64_t word = i < 64 ? rows[j].low : rows[j].high;
        REQUIRE(((word >> (i % 64)) & 1U) == expected);
      }
    }
  }
}

TEST_CASE("every transfer gives the chosen message, batch after batch", "[ot]") {
  test::SeededRng rng(42);
  const Seeds seeds(rng);
  Bytes nonce(16);
  rng.fill(nonce);
  ExtensionReceiver receiver(seeds.receiver, nonce);
  ExtensionSender sender(seeds.sender, nonce);
  for (const unsigned choices : {16U, 8U, 4U, 16U}) {
    for (const std::size_t count : {std::size_t{1}, std::size_t{7}, std::size_t{129}, std::size_t{5000}}) {
      const auto wanted = random_values(rng, count, choices);
      const auto messages = random_values(rng, count * choices, 4);
      Bytes request;
      receiver.request(wanted, request);
      REQUIRE(request.size() == correction_bytes(count));
      sender.take_request(request, count);
      Bytes transfers;
      sender.send(messages, choices, transfers);
      REQUIRE(transfers.size() == transfer_bytes(count, choices));
      std::vector<std::uint8_t> got(count);
      receiver.receive(transfers, choices, got);
      for (std::size_t j = 0; j < count; ++j) REQUIRE(got[j] == messages[j * choices + wanted[j]]);
    }
  }
  REQUIRE_THROWS_AS(sender.take_request(Bytes(5), 3), InputError);
}

TEST_CASE("messages that were not chosen are masked by pads that look random", "[ot]") {
  // All messages zero: what travels is the pads. Each two-bit pattern must be equally frequent (chi-square
  // with 3 degrees of freedom; 25 is exceeded with probability 2·10⁻⁵).
  test::SeededRng rng(43);
  const Seeds seeds(rng);
  ExtensionReceiver receiver(seeds.receiver, {});
  ExtensionSender sender(seeds.sender, {});
  constexpr std::size_t kCount = 4000;
  const std::vector<std::uint8_t> same_choice(kCount, 5);
  Bytes request;
  receiver.request(same_choice, request);
  sender.take_request(request, kCount);
  Bytes pads;
  sender.send(std::vector<std::uint8_t>(kCount * 16, 0), 16, pads);
  for (unsigned v = 0; v < 16; ++v) {
    std::array<double, 4> seen{};
    for (std::size_t j = 0; j < kCount; ++j) seen[(pads[4 * j + v / 4] >> (2 * (v % 4))) & 3U] += 1;
    double chi_square = 0;
    for (const double count : seen)
      chi_square += (count - kCount / 4.0) * (count - kCount / 4.0) / (kCount / 4.0);
    INFO("message " << v);
    REQUIRE(chi_square < 25);
  }
  // And the request itself hides the choice: its bits are balanced although all choices are equal.
  std::size_t ones = 0;
  for (const std::uint8_t byte : request) ones += static_cast<std::size_t>(__builtin_popcount(byte));
  const double bits = 8.0 * static_cast<double>(request.size());
  REQUIRE(std::abs(static_cast<double>(ones) - bits / 2) < 5 * std::sqrt(bits) / 2);
}

TEST_CASE("another nonce gives another stream", "[ot]") {
  test::SeededRng rng(44);
  const Seeds seeds(rng);
  const Bytes first(16, 1);
  const Bytes second(16, 2);
  const std::vector<std::uint8_t> choices(64, 3);
  Bytes one;
  Bytes two;
  ExtensionReceiver(seeds.receiver, first).request(choices, one);
  ExtensionReceiver(seeds.receiver, second).request(choices, two);
  REQUIRE(one != two);
}

TEST_CASE("base transfers give one seed of each pair", "[ot]") {
  test::SeededRng rng(45);
  for (const unsigned key_bits : {256U, 512U, 1024U}) {
    const test::Party& party = test::party(key_bits);
    const paillier::Evaluator evaluator(party.context, rng);
    const BaseTransferSizes sizes = base_transfer_sizes(key_bits);
    const BaseOwner owner(rng);
    Bytes request;
    owner.request(*party.owner, request);
    REQUIRE(request.size() == sizes.request_bytes);
    BaseChooser chooser(evaluator, request);
    REQUIRE(evaluator.counts().multiplications == base_request_cost());
    Bytes reply;
    chooser.reply(evaluator, rng, reply);
    REQUIRE(reply.size() == sizes.reply_bytes);
    REQUIRE(evaluator.counts().multiplications == base_request_cost() + base_reply_cost(key_bits));
    const Bytes opened = owner.open(*party.owner, reply);
    REQUIRE(opened.size() == sizes.open_bytes);
    const SenderSeeds chosen = chooser.finish(opened);
    std::size_t ones = 0;
    for (std::size_t i = 0; i < kCodeBits; ++i) {
      REQUIRE(chosen.choices[i] <= 1);
      REQUIRE(chosen.chosen[i] == owner.seeds().pairs[i][chosen.choices[i]]);
      ones += chosen.choices[i];
    }
    REQUIRE(ones > 80);
    REQUIRE(ones < 176);
    REQUIRE_THROWS_AS(chooser.finish(Bytes(sizes.open_bytes, 0xff)), InputError);
    REQUIRE_THROWS_AS(chooser.finish(Bytes(sizes.open_bytes, 0)), InputError);
  }
}

}  // namespace
}  // namespace popcorn::protocols::ot
