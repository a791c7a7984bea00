// Random transfers: all sources give what they promise, all kernels the same bytes, and whoever cheats is
// caught.
#include <catch2/catch.hpp>
#include <cstring>
#include <set>

#include "base/error.h"
#include "protocols/ot/sources/random_transfer.h"
#include "protocols/ot/sources/transcript.h"
#include "protocols/ot/steps/local_parties.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::protocols::ot;

namespace {

std::vector<Block> random_blocks(Rng& rng, std::size_t count) {
  std::vector<Block> blocks(count);
  rng.fill({reinterpret_cast<std::uint8_t*>(blocks.data()), count * sizeof(Block)});
  return blocks;
}

/// Schoolbook multiplication modulo x^128 + x^7 + x^2 + x + 1.
Block slow_multiply(Block a, Block b) {
  Block product;
  for (int bit = 127; bit >= 0; --bit) {
    const bool carry = product.high >> 63 != 0;
    product = {product.low << 1, (product.high << 1) | (product.low >> 63)};
    if (carry) product.low ^= 0x87;
    if ((((bit < 64 ? b.low : b.high) >> (bit % 64)) & 1U) != 0) product ^= a;
  }
  return product;
}

struct Drawn {
  std::vector<std::uint32_t> zero, one, pads;
  std::vector<std::uint8_t> bits;
  Traffic traffic;
};

Drawn draw(TransferSource source, std::size_t count, Rng& rng,
           const kernels::Kernel& first = kernels::active(),
           const kernels::Kernel& second = kernels::active(), const DealtBase* dealt = nullptr,
           const std::function<void(bool, Bytes&)>& alter = {}) {
  const DealtBase base = dealt != nullptr ? *dealt : deal_base(rng);
  RandomTransferSender sender(source, base.chosen, as_bytes("session"), rng, first);
  RandomTransferReceiver receiver(source, base.offered, as_bytes("session"), rng, second);
  Wire sender_wire;
  Wire receiver_wire;
  Half sender_half(sender_wire, sender.reserve(sender_wire, count));
  Half receiver_half(receiver_wire, receiver.reserve(receiver_wire, count));
  Drawn drawn{std::vector<std::uint32_t>(count),
              std::vector<std::uint32_t>(count),
              std::vector<std::uint32_t>(count),
              std::vector<std::uint8_t>(count),
              {}};
  drawn.traffic = run_halves(sender_half, receiver_half, alter);
  sender.take(count, drawn.zero.data(), drawn.one.data());
  receiver.take(count, drawn.pads.data(), drawn.bits.data());
  return drawn;
}

std::size_t wrong(const Drawn& drawn) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < drawn.pads.size(); ++i)
    count += drawn.pads[i] != (drawn.bits[i] != 0 ? drawn.one[i] : drawn.zero[i]) ? 1 : 0;
  return count;
}

/// Keeps rows.
class Rows final : public RowSink {
 public:
  void begin(std::size_t count) override { rows.resize(count); }
  void put(const Block* from, std::size_t first, std::size_t count) override {
    std::copy_n(from, count, rows.begin() + static_cast<std::ptrdiff_t>(first));
  }
  std::vector<Block> rows;
};

/// Correlated transfers as a silent round begins with: y, z and Δ.
struct SilentBase {
  Block delta;
  std::vector<Block> y, z;
  SilentBase(std::size_t count, Rng& rng) : delta(random_blocks(rng, 1)[0]), y(random_blocks(rng, count)) {
    delta.low |= 1;
    z = y;
    for (std::size_t i = 0; i < count; ++i) {
      const bool choice = (y[i].low & 1U) != 0;
      y[i].low &= ~std::uint64_t{1};
      z[i] = choice ? y[i] ^ delta : y[i];
    }
  }
};

Block power(Block x, std::size_t exponent) {
  Block result{1, 0};
  for (; exponent > 0; exponent >>= 1, x = kernels::gf_multiply(x, x)) {
    if ((exponent & 1U) != 0) result = kernels::gf_multiply(result, x);
  }
  return result;
}

/// x^(2^128 − 2)
Block inverse(Block x) {
  Block result{1, 0};
  for (unsigned i = 1; i < 128; ++i) {
    x = kernels::gf_multiply(x, x);
    result = kernels::gf_multiply(result, x);
  }
  return result;
}

/// |ones − n/2| within six standard deviations.
void check_balanced(std::size_t ones, std::size_t n) {
  const double deviation = std::abs(static_cast<double>(ones) - static_cast<double>(n) / 2);
  CHECK(deviation * deviation * 4 < 36 * static_cast<double>(n));
}

}  // namespace

TEST_CASE("the field's multiplication is right", "[ot][transfers]") {
  test::SeededRng rng(1);
  CHECK(kernels::gf_multiply({2, 0}, {0, std::uint64_t{1} << 63}) == Block{0x87, 0});
  for (int i = 0; i < 200; ++i) {
    const auto x = random_blocks(rng, 2);
    CHECK(kernels::gf_multiply(x[0], x[1]) == slow_multiply(x[0], x[1]));
  }
}

TEST_CASE("AES-128 of the kernels has the standard's answer", "[ot][transfers]") {
  // FIPS 197, appendix C.1.
  Block key;
  Block text;
  Bytes key_bytes = from_hex("000102030405060708090a0b0c0d0e0f");
  Bytes text_bytes = from_hex("00112233445566778899aabbccddeeff");
  Bytes answer = from_hex("69c4e0d86a7b0430d8cdb78070b4c55a");
  std::memcpy(&key, key_bytes.data(), 16);
  for (const kernels::Kernel* const kernel : kernels::all()) {
    if (!kernel->supported()) continue;
    std::memcpy(&text, text_bytes.data(), 16);
    kernel->encrypt(*kernel->key(key), &text, 1);
    CHECK(std::memcmp(&text, answer.data(), 16) == 0);
    CHECK(kernels::self_test(*kernel));
  }
}

TEST_CASE("every kernel gives the portable one's bytes", "[ot][transfers]") {
  test::SeededRng rng(2);
  const kernels::Kernel& portable = kernels::portable();
  for (const kernels::Kernel* const kernel : kernels::all()) {
    if (!kernel->supported()) {
      WARN("kernel " << kernel->name() << " cannot run on this processor: not tested");
      continue;
    }
    const Block key = random_blocks(rng, 1)[0];
    const auto here = kernel->key(key);
    const auto there = portable.key(key);
    for (std::size_t count = 1; count <= 40; ++count) {
      auto mine = random_blocks(rng, count);
      auto other = mine;
      kernel->encrypt(*here, mine.data(), count);
      portable.encrypt(*there, other.data(), count);
      CHECK(mine == other);
      kernel->stream(*here, 77, mine.data(), count);
      portable.stream(*there, 77, other.data(), count);
      CHECK(mine == other);
      std::vector<std::uint32_t> words(count);
      std::vector<std::uint32_t> expected(count);
      const Block offset = random_blocks(rng, 1)[0];
      kernel->pads(*here, mine.data(), offset, 9, count, words.data());
      portable.pads(*there, mine.data(), offset, 9, count, expected.data());
      CHECK(words == expected);
      const auto r = random_blocks(rng, 2);
      CHECK(kernel->polynomial(r[0], r[1], mine.data(), count) ==
            portable.polynomial(r[0], r[1], mine.data(), count));
    }
    for (std::size_t n = 2; n <= 1024; n *= 2) {
      for (int variant = 0; variant < 4; ++variant) {
        auto mine = random_blocks(rng, 2 * n);
        auto other = mine;
        const bool right = (variant & 1) != 0;
        const bool last = (variant & 2) != 0;
        CHECK(kernel->expand_level(*here, mine.data(), n, right, last) ==
              portable.expand_level(*there, other.data(), n, right, last));
        CHECK(mine == other);
      }
    }
    for (const unsigned log_k : {6U, 10U, kSilentB12.log_k, kSilentB13.log_k}) {
      const auto secret = random_blocks(rng, std::size_t{1} << log_k);
      const std::uint32_t mask = (1U << log_k) - 1;
      auto mine = random_blocks(rng, 320);
      auto other = mine;
      kernel->encode(*here, 5, mine.data(), secret.data(), mask, 320);
      portable.encode(*there, 5, other.data(), secret.data(), mask, 320);
      CHECK(mine == other);
    }
  }
}

TEST_CASE("every source gives random transfers", "[ot][transfers]") {
  test::SeededRng rng(3);
  for (const char* const name : {"softspoken", "b10", "b12"}) {
    CAPTURE(name);
    const std::size_t count = 200'000;
    const Drawn drawn = draw(TransferSource::named(name), count, rng);
    CHECK(wrong(drawn) == 0);
    std::size_t ones = 0;
    std::size_t equal = 0;
    std::array<std::size_t, 32> zero_bits{};
    std::array<std::size_t, 32> differences{};
    for (std::size_t i = 0; i < count; ++i) {
      ones += drawn.bits[i];
      equal += drawn.zero[i] == drawn.one[i] ? 1 : 0;
      for (unsigned bit = 0; bit < 32; ++bit) {
        zero_bits[bit] += (drawn.zero[i] >> bit) & 1U;
        differences[bit] += ((drawn.zero[i] ^ drawn.one[i]) >> bit) & 1U;
      }
    }
    check_balanced(ones, count);
    CHECK(equal < 3);
    for (unsigned bit = 0; bit < 32; ++bit) {
      check_balanced(zero_bits[bit], count);
      check_balanced(differences[bit], count);
    }
  }
}

TEST_CASE("transfers that a half released are used up by another, each once, in the same order",
          "[ot][transfers]") {
  test::SeededRng rng(77);
  const DealtBase base = deal_base(rng);
  constexpr std::size_t kCount = 5000, kTaken = 300;
  for (const char* name : {"softspoken", "b10"}) {
    CAPTURE(name);
    const TransferSource source = TransferSource::named(name);
    RandomTransferSender sender(source, base.chosen, as_bytes(name), rng);
    RandomTransferReceiver receiver(source, base.offered, as_bytes(name), rng);
    Wire sender_wire, receiver_wire;
    Half sender_half(sender_wire, sender.reserve(sender_wire, kCount));
    Half receiver_half(receiver_wire, receiver.reserve(receiver_wire, kCount));
    run_halves(sender_half, receiver_half);
    sender.take(kTaken);
    receiver.take(kTaken);
    CHECK_THROWS_AS(sender.release(sender.ready() + 1), Error);
    RandomTransferSender kept_sender(sender.release(kCount - kTaken));
    RandomTransferReceiver kept_receiver(receiver.release(kCount - kTaken));
    CHECK(sender.ready() == 0);
    CHECK(receiver.ready() == 0);
    REQUIRE(kept_sender.ready() == kCount - kTaken);
    REQUIRE(kept_receiver.ready() == kCount - kTaken);
    std::set<std::uint32_t> pads;
    for (std::size_t done = 0; done < kCount - kTaken; done += 100) {
      // A reserve within what is kept sends nothing.
      Half reserving(sender_wire, kept_sender.reserve(sender_wire, 100));
      CHECK(reserving.advance({}).empty());
      REQUIRE(reserving.finished());
      const SentTransfers sent = kept_sender.take(100);
      const ReceivedTransfers got = kept_receiver.take(100);
      for (std::size_t i = 0; i < 100; ++i) {
        REQUIRE(got.pads[i] == (got.bits[i] != 0 ? sent.one[i] : sent.zero[i]));
        pads.insert(got.pads[i]);
      }
    }
    CHECK(pads.size() > kCount - kTaken - 50);  // none twice, but for chance
    CHECK_THROWS_AS(kept_sender.take(1), Error);
    Half more(receiver_wire, kept_receiver.reserve(receiver_wire, 1));
    CHECK_THROWS_AS(more.advance({}), Error);
  }
}

TEST_CASE("a party on the portable kernel and one on the fastest understand each other", "[ot][transfers]") {
  test::SeededRng rng(4);
  for (const char* const name : {"softspoken", "b10"}) {
    CHECK(wrong(draw(TransferSource::named(name), 40'000, rng, kernels::portable(), kernels::active())) == 0);
    CHECK(wrong(draw(TransferSource::named(name), 40'000, rng, kernels::active(), kernels::portable())) == 0);
  }
}

TEST_CASE("two sessions on the same base transfers share no pads", "[ot][transfers]") {
  test::SeededRng rng(5);
  const DealtBase base = deal_base(rng);
  const std::size_t count = 20'000;
  std::set<std::uint64_t> seen;
  std::size_t repeated = 0;
  const TransferSource source = TransferSource::named(GENERATE("softspoken", "b10"));
  std::array<std::vector<std::uint8_t>, 2> bits;
  for (const std::size_t number : {0U, 1U}) {
    const std::string session = std::to_string(number);
    RandomTransferSender sender(source, base.chosen, as_bytes(session), rng);
    RandomTransferReceiver receiver(source, base.offered, as_bytes(session), rng);
    Wire sender_wire;
    Wire receiver_wire;
    Half sender_half(sender_wire, sender.reserve(sender_wire, count));
    Half receiver_half(receiver_wire, receiver.reserve(receiver_wire, count));
    run_halves(sender_half, receiver_half);
    std::vector<std::uint32_t> zero(count);
    std::vector<std::uint32_t> one(count);
    sender.take(count, zero.data(), one.data());
    for (std::size_t i = 0; i < count; ++i)
      repeated += seen.insert((std::uint64_t{zero[i]} << 32) | one[i]).second ? 0 : 1;
    bits[number].resize(count);
    receiver.take(count, zero.data(), bits[number].data());
  }
  CHECK(repeated == 0);
  std::size_t equal = 0;
  for (std::size_t i = 0; i < count; ++i) equal += bits[0][i] == bits[1][i] ? 1 : 0;
  check_balanced(equal, count);
}

TEST_CASE("sessions on the same base transfers hide other leaves", "[ot][transfers]") {
  // Where a tree's leaf is follows from the choices of the transfers that the round begins with.
  test::SeededRng rng(12);
  const DealtBase base = deal_base(rng);
  constexpr std::size_t kRows = 605 * kBaseTransfers;
  static_assert(kRows > (1 << 16) + 850 * 10);
  std::array<std::vector<Block>, 3> rows;
  for (std::size_t session = 0; session < 3; ++session) {
    // The last two have the same name, as two of them at once or a restored one: the roots differ.
    SoftSpokenReceiver receiver(base.offered, as_bytes(session == 0 ? "a" : "b"), random_blocks(rng, 1)[0],
                                kernels::active());
    Bytes out;
    receiver.set_up(out);
    rows[session].resize(kRows);
    receiver.extend(as_bytes("0"), 605, rows[session].data(), out);
  }
  for (const auto& [one, other] : {std::pair{0, 1}, std::pair{1, 2}}) {
    std::size_t same_place = 0;
    for (std::size_t tree = 0; tree < 850; ++tree) {
      bool same = true;
      for (std::size_t i = (1 << 16) + 10 * tree; i < (1 << 16) + 10 * (tree + 1); ++i)
        same = same && ((rows[one][i].low ^ rows[other][i].low) & 1U) == 0;
      same_place += same ? 1 : 0;
    }
    CHECK(same_place < 12);  // 0.83 expected
    std::size_t same_row = 0;
    for (std::size_t i = 0; i < kRows; ++i) same_row += rows[one][i] == rows[other][i] ? 1 : 0;
    CHECK(same_row == 0);
  }
}

TEST_CASE("what a source sends is known beforehand, and the cheapest is taken", "[ot][transfers]") {
  test::SeededRng rng(13);
  for (const char* const name : {"softspoken", "b10"}) {
    for (const std::size_t count : {1, 1000, 40'000, 70'001}) {
      const TransferSource source = TransferSource::named(name);
      const Drawn drawn = draw(source, count, rng);
      CHECK(drawn.traffic.bytes[0] + drawn.traffic.bytes[1] == source.bytes(count));
    }
  }
  const TransferSource b12 = TransferSource::named("b12");
  const Drawn drawn = draw(b12, 1'000'000, rng);
  CHECK(drawn.traffic.bytes[0] + drawn.traffic.bytes[1] == b12.bytes(1'000'000));
  for (const std::uint64_t count : {1U, 50'000U, 100'000U, 200'000U, 3'000'000U, 20'000'000U}) {
    const TransferSource best = TransferSource::for_transfers(count);
    for (const char* const name : {"softspoken", "b10", "b12"})
      CHECK(best.bytes(count) <= TransferSource::named(name).bytes(count));
  }
  CHECK(TransferSource::for_transfers(50'000).name() == "softspoken");
  CHECK(TransferSource::for_transfers(150'000).name() == "b10");
  CHECK(TransferSource::for_transfers(10'000'000).name() == "b12");
  CHECK(TransferSource::for_transfers(20'000'000).name() == "b13");
}

TEST_CASE("any changed bit of any message is caught, and nothing comes of it", "[ot][transfers][malicious]") {
  test::SeededRng rng(6);
  for (const char* const name : {"softspoken", "b10"}) {
    const TransferSource source = TransferSource::named(name);
    // How many flights there are, and how long.
    std::vector<std::pair<bool, std::size_t>> flights;
    draw(source, 1000, rng, kernels::active(), kernels::active(), nullptr,
         [&](bool first, Bytes& flight) { flights.emplace_back(first, flight.size()); });
    std::size_t trials = 0;
    std::size_t caught = 0;
    std::size_t harmless = 0;
    for (int trial = 0; trial < 60; ++trial) {
      const std::size_t target = rng.below(std::min<std::size_t>(flights.size(), 6));
      std::size_t at = 0;
      const std::size_t byte = rng.below(flights[target].second);
      const auto bit = static_cast<std::uint8_t>(1U << rng.below(8));
      ++trials;
      try {
        const Drawn drawn =
            draw(source, 1000, rng, kernels::active(), kernels::active(), nullptr, [&](bool, Bytes& flight) {
              if (at++ == target) flight[byte] ^= bit;
            });
        // A sum for the side that the chooser does not have changes nothing for it.
        CHECK(wrong(drawn) == 0);
        ++harmless;
      } catch (const InputError& error) {
        CHECK(error.code() == "ot.check");
        ++caught;
      }
    }
    CAPTURE(name, trials, caught, harmless);
    CHECK(caught + harmless == trials);
    CHECK(caught > trials / 2);
  }
}

TEST_CASE("flights that are cut, too long, repeated or of another session give nothing",
          "[ot][transfers][malicious]") {
  test::SeededRng rng(14);
  for (const char* const name : {"softspoken", "b10"}) {
    const TransferSource source = TransferSource::named(name);
    const auto run = [&](const std::function<void(bool, Bytes&)>& alter) {
      draw(source, 1000, rng, kernels::active(), kernels::active(), nullptr, alter);
    };
    std::vector<Bytes> of_another;
    run([&](bool, Bytes& flight) { of_another.push_back(flight); });
    constexpr std::size_t kTrials = 64;
    std::size_t refused = 0;
    for (std::size_t trial = 0; trial < kTrials; ++trial) {
      const std::size_t target = rng.below(of_another.size());
      std::array<Bytes, 2> before;
      std::size_t at = 0;
      const auto alter = [&](bool first, Bytes& flight) {
        const Bytes honest = flight;
        if (at++ == target) {
          if (trial % 4 == 0) flight.resize(rng.below(flight.size()));
          if (trial % 4 == 1) flight.resize(flight.size() + 1 + rng.below(200));
          if (trial % 4 == 2 && !before[first].empty()) flight = before[first];
          if (trial % 4 == 2 && before[first].empty())
            flight.insert(flight.end(), honest.begin(), honest.end());
          if (trial % 4 == 3) flight = of_another[target];
        }
        before[first] = honest;
      };
      try {
        run(alter);
      } catch (const InputError&) {
        ++refused;
      } catch (const std::logic_error&) {  // what was cut off is waited for
        ++refused;
      }
    }
    CAPTURE(name, of_another.size());
    CHECK(refused == kTrials);
  }
}

TEST_CASE("a receiver whose choices differ between columns is caught", "[ot][transfers][malicious]") {
  // The attack on the extension without check: a correction that is no codeword tells a bit of Δ a row.
  test::SeededRng rng(7);
  std::size_t caught = 0;
  constexpr int kTrials = 40;
  for (int trial = 0; trial < kTrials; ++trial) {
    const DealtBase base = deal_base(rng);
    SoftSpokenReceiver receiver(base.offered, as_bytes("s"), random_blocks(rng, 1)[0], kernels::active());
    SoftSpokenSender sender(base.chosen, as_bytes("s"), kernels::active());
    Bytes set_up;
    receiver.set_up(set_up);
    sender.set_up(set_up);
    std::vector<Block> rows(256);
    Bytes message;
    receiver.extend(as_bytes("1"), 2, rows.data(), message);
    message[rng.below(15 * 3 * sizeof(Block))] ^= 1;
    std::vector<Block> got(256);
    try {
      sender.extend(as_bytes("1"), 2, message, got.data());
    } catch (const InputError&) {
      ++caught;
    }
  }
  // With the challenge made from the corrections, only a tree whose eight bits of Δ are all 0 does not see
  // it: 1 in 256.
  CHECK(caught + 3 >= kTrials);
}

TEST_CASE("a guess of hidden leaves fails the check", "[ot][transfers][malicious]") {
  // The sender changes one correction of one tree: without the check the receiver's outputs would tell where
  // its leaf is.
  test::SeededRng rng(8);
  std::size_t caught = 0;
  constexpr std::size_t kTrials = 30;
  for (std::size_t trial = 0; trial < kTrials; ++trial) {
    const SilentBase base(kSilentB10.base(), rng);
    SilentSender sender(kSilentB10, as_bytes("t"), base.delta, base.y.data(), rng, kernels::active());
    SilentReceiver receiver(kSilentB10, as_bytes("t"), base.z.data(), kernels::active());
    Bytes corrections;
    Bytes check;
    Bytes proof;
    Rows sent, got;
    sender.trees(corrections);
    Bytes altered = corrections;
    if (trial > 0) altered[rng.below(altered.size())] ^= static_cast<std::uint8_t>(1U << rng.below(8));
    receiver.check(altered, check);
    sender.prove(check, proof, sent);
    try {
      receiver.accept(proof, got);
      CHECK(trial == 0);
    } catch (const InputError& error) {
      CHECK(error.code() == "ot.check");
      CHECK(got.rows.empty());
      ++caught;
    }
  }
  CHECK(caught == kTrials - 1);
}

TEST_CASE("a sender that guesses a hidden leaf's pair passes as often as the guess is right",
          "[ot][transfers][malicious]") {
  // The best cheat: the last correction of one tree is off by e, so the receiver's two last leaves are, and
  // the sender makes up for them in its combination as if it knew where they are. Of small trees, so that
  // guesses are right often enough to be counted: 4 pairs, 1 in 4.
  constexpr SilentParameters kSmall{"small", 32, 10, 3};
  constexpr std::size_t kPairs = 4;
  constexpr std::size_t kLeaves = 32 * 8;
  test::SeededRng rng(11);
  constexpr std::size_t kTrials = 2000;
  std::size_t passed = 0;
  for (std::size_t trial = 0; trial < kTrials; ++trial) {
    SilentBase base(kSmall.base(), rng);
    const std::size_t tree = rng.below(32);
    Block error = random_blocks(rng, 1)[0];
    error.low &= ~std::uint64_t{1};
    base.y[1024 + 3 * tree + 2] ^= error;
    SilentSender sender(kSmall, as_bytes("t"), base.delta, base.y.data(), rng, kernels::active());
    SilentReceiver receiver(kSmall, as_bytes("t"), base.z.data(), kernels::active());
    Bytes corrections, check, proof;
    Rows none;
    sender.trees(corrections);
    receiver.check(corrections, check);
    // Σ leaves·r^…, off by what the two leaves add.
    const Block r = Transcript("silent challenge")
                        .add(as_bytes("t"))
                        .add(std::uint64_t{0})
                        .add(std::uint64_t{0})
                        .add(corrections)
                        .block();
    const std::size_t from_end = kLeaves - 8 * tree - rng.below(kPairs);
    const Block leaves = power(r, from_end) ^ power(r, from_end - kPairs);
    const Block change = kernels::gf_multiply(kernels::gf_multiply(error, leaves), inverse(base.delta));
    for (std::size_t i = 0; i < sizeof change; ++i)
      check[i] ^= reinterpret_cast<const std::uint8_t*>(&change)[i];
    sender.prove(check, proof, none);
    try {
      receiver.accept(proof, none);
      ++passed;
    } catch (const InputError& error_of_check) {
      CHECK(error_of_check.code() == "ot.check");
    }
  }
  // 500 ± 6·19.4
  CHECK(passed > 384);
  CHECK(passed < 616);
}

TEST_CASE("memory and bytes of the silent sets stay within bounds", "[ot][transfers]") {
  CHECK(kSilentB12.usable() == (1520 - kSilentB12.refill()) * 4096);
  CHECK(kSilentB12.usable() > 5'900'000);
  CHECK(kSilentB10.usable() > 780'000);
  CHECK(kSilentB13.usable() > 14'000'000);
  // Bytes of a round over its transfers.
  for (const SilentParameters& set : {kSilentB10, kSilentB12, kSilentB13}) {
    const double bytes = static_cast<double>(set.trees * set.depth * sizeof(Block) + set.batches() * 48);
    CHECK(bytes / static_cast<double>(set.usable()) < (set.name == "b10" ? 0.18 : 0.052));
  }
}
