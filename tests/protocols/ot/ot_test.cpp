// The oblivious-transfer extension: correctness of every transfer, the code's distances, the ranks of the
// fold.
#include <bitset>
#include <catch2/catch.hpp>
#include <cstring>

#include "base/error.h"
#include "protocols/ot/base_transfer.h"
#include "protocols/ot/bit_matrix.h"
#include "protocols/ot/extension.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/kernels/kernel.h"
#include "protocols/ot/transcript.h"
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

/// What the cleverest receiver puts into the check of a damaged u: the sums of what it would have had to
/// send, at the points that belong to what it sends. It passes if s is 0 wherever a column is damaged.
void check_again(const ReceiverSeeds& seeds, const Bytes& honest, Bytes& damaged, std::size_t stride) {
  const std::size_t blocks = stride / sizeof(Block);
  const Sha256 digest = Transcript("extension check")
                            .add(ByteView())
                            .add(std::uint64_t{0})
                            .add(ByteView(damaged).first(kCodeBits * stride))
                            .digest();
  std::array<Block, 2> points;
  std::memcpy(points.data(), digest.data(), sizeof points);
  std::array<std::array<Block, 2>, 4> sums;
  Transcript rows("extension rows");
  const kernels::Kernel& kernel = kernels::portable();
  std::vector<Block> zero(blocks);
  std::vector<Block> one(blocks);
  const auto fill = [&](std::size_t column, unsigned side, std::vector<Block>& out) {
    StreamGenerator(derive_seed(seeds.pairs[column][side], {}))
        .next({reinterpret_cast<std::uint8_t*>(out.data()), stride});
  };
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    fill(i, 0, zero);
    for (const Block point : points) rows.add(kernel.polynomial({}, point, zero.data(), blocks));
    for (unsigned k = 0; k < 4; ++k) {
      if (i != (std::size_t{1} << k)) continue;
      fill(i, 1, one);
      for (std::size_t b = 0; b < blocks; ++b) {
        Block u;
        std::memcpy(&u, honest.data() + i * stride + b * sizeof u, sizeof u);
        one[b] ^= zero[b] ^ u;
      }
      for (std::size_t p = 0; p < 2; ++p) sums[k][p] = kernel.polynomial({}, points[p], one.data(), blocks);
    }
  }
  std::memcpy(damaged.data() + kCodeBits * stride, &sums, sizeof sums);
  const Sha256 columns = rows.digest();
  std::ranges::copy(columns, damaged.end() - static_cast<std::ptrdiff_t>(columns.size()));
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
  Bytes nonce(16);
  for (unsigned trial = 0; trial < 3; ++trial) {
    rng.fill(nonce);
    const BaseOwner owner(rng);
    Bytes request;
    owner.request(request);
    REQUIRE(request.size() == kBaseRequestBytes);
    const BaseChooser chooser(request);
    Bytes reply;
    const SenderSeeds chosen = chooser.reply(nonce, rng, reply);
    REQUIRE(reply.size() == kBaseReplyBytes);
    const ReceiverSeeds offered = owner.finish(nonce, reply);
    std::size_t ones = 0;
    for (std::size_t i = 0; i < kCodeBits; ++i) {
      REQUIRE(chosen.choices[i] <= 1);
      REQUIRE(chosen.chosen[i] == offered.pairs[i][chosen.choices[i]]);
      REQUIRE_FALSE(chosen.chosen[i] == offered.pairs[i][1 - chosen.choices[i]]);
      ones += chosen.choices[i];
    }
    REQUIRE(ones > 80);
    REQUIRE(ones < 176);
    // Another reply to the same request has nothing in common with it; another nonce gives other seeds.
    Bytes again;
    const SenderSeeds others = chooser.reply(nonce, rng, again);
    REQUIRE(again != reply);
    REQUIRE(others.choices != chosen.choices);
    Bytes other_nonce = nonce;
    other_nonce[0] ^= 1;
    const ReceiverSeeds elsewhere = owner.finish(other_nonce, reply);
    for (std::size_t i = 0; i < kCodeBits; ++i) {
      REQUIRE_FALSE(elsewhere.pairs[i][chosen.choices[i]] == chosen.chosen[i]);
    }
  }
}

TEST_CASE("elements that are no points, or the identity, are refused", "[ot]") {
  test::SeededRng rng(46);
  const Bytes nonce(16);
  const BaseOwner owner(rng);
  Bytes request;
  owner.request(request);
  Bytes reply;
  BaseChooser(request).reply(nonce, rng, reply);
  std::vector<Bytes> bad(4, Bytes(kPointBytes, 0));  // the identity
  bad[1].assign(kPointBytes, 0xff);                  // not reduced
  bad[2] = request;
  bad[2][31] |= 0x80;  // not canonical
  bad[3][0] = 1;       // "negative": odd
  for (const Bytes& point : bad) {
    REQUIRE_THROWS_AS(BaseChooser(point), InputError);
    for (const std::size_t at : {std::size_t{0}, std::size_t{77}, 2 * kCodeBits - 1}) {
      Bytes damaged = reply;
      std::ranges::copy(point, damaged.begin() + static_cast<std::ptrdiff_t>(at * kPointBytes));
      REQUIRE_THROWS_AS(owner.finish(nonce, damaged), FailedCheck);
    }
  }
  REQUIRE_THROWS_AS(BaseChooser(Bytes(31, 2)), InputError);
}

TEST_CASE("corrections that are not codewords are found out unless the bits of s are guessed", "[ot]") {
  // An error in one column passes exactly when the sender's bit is 0; in c columns when all c are.
  test::SeededRng rng(47);
  const auto wanted = random_values(rng, 300, 16);
  for (const std::size_t errors : {1U, 2U, 8U, 40U}) {
    unsigned passed = 0;
    for (unsigned trial = 0; trial < 60; ++trial) {
      const Seeds seeds(rng);
      ExtensionReceiver receiver(seeds.receiver, {});
      ExtensionSender sender(seeds.sender, {});
      Bytes request;
      receiver.request(wanted, request);
      // A receiver that errs tells its check the truth about what it sent: the challenge of the wrong u. Only
      // the columns' digest is then a guess, that all bits at the wrong columns are 0.
      bool all_zero = true;
      const std::size_t stride = 5 * sizeof(Block);  // 300 transfers and 256 of the check
      Bytes damaged = request;
      for (std::size_t e = 0; e < errors; ++e) {
        const std::size_t column = (e * 37 + trial) % kCodeBits;
        damaged[column * stride + rng.below(38)] ^= static_cast<std::uint8_t>(1U << rng.below(8));
        all_zero = all_zero && seeds.sender.choices[column] == 0;
      }
      check_again(seeds.receiver, request, damaged, stride);
      bool accepted = true;
      try {
        sender.take_request(damaged, wanted.size());
      } catch (const FailedCheck& error) {
        accepted = false;
        REQUIRE(error.code() == "ot.check");
      }
      REQUIRE(accepted == all_zero);
      passed += accepted ? 1 : 0;
    }
    if (errors == 1) REQUIRE(passed > 10);
    if (errors == 1) REQUIRE(passed < 50);
    if (errors >= 8) REQUIRE(passed < 10);
    if (errors >= 40) REQUIRE(passed == 0);
  }
}

TEST_CASE("any bit of a request that changes is found out", "[ot]") {
  test::SeededRng rng(48);
  const auto wanted = random_values(rng, 100, 16);
  for (unsigned trial = 0; trial < 200; ++trial) {
    const Seeds seeds(rng);
    Bytes request;
    ExtensionReceiver(seeds.receiver, {}).request(wanted, request);
    request[rng.below(request.size())] ^= static_cast<std::uint8_t>(1U << rng.below(8));
    ExtensionSender sender(seeds.sender, {});
    REQUIRE_THROWS_AS(sender.take_request(request, wanted.size()), FailedCheck);
  }
}

TEST_CASE("pads that answer one request say nothing about those of another", "[ot]") {
  // The same seeds and place, two choices: had the pads the same tweaks, 14 of 16 would come twice.
  test::SeededRng rng(49);
  const Seeds seeds(rng);
  std::vector<Bytes> pads(2);
  for (unsigned k = 0; k < 2; ++k) {
    Bytes request;
    ExtensionReceiver(seeds.receiver, {}).request(std::vector<std::uint8_t>(4000, k == 0 ? 3 : 12), request);
    ExtensionSender sender(seeds.sender, {});
    sender.take_request(request, 4000);
    sender.send(std::vector<std::uint8_t>(std::size_t{4000} * 16, 0), 16, pads[k]);
  }
  // Message v of the first and v ⊕ 3 ⊕ 12 of the second have the same row.
  std::size_t same = 0;
  for (std::size_t j = 0; j < 4000; ++j) {
    for (unsigned v = 0; v < 16; ++v) {
      const unsigned w = v ^ 15U;
      const unsigned one = (pads[0][4 * j + v / 4] >> (2 * (v % 4))) & 3U;
      const unsigned two = (pads[1][4 * j + w / 4] >> (2 * (w % 4))) & 3U;
      same += one == two ? 1 : 0;
    }
  }
  REQUIRE(same > 15200);  // a quarter of 64,000, ±7 standard deviations
  REQUIRE(same < 16800);
}

}  // namespace
}  // namespace popcorn::protocols::ot
