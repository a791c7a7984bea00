// Steps on shares: every value and every share on small widths, random ones on large; predicted cost = what
// travels.
#include "protocols/ot/steps/share_steps.h"

#include <catch2/catch.hpp>
#include <map>
#include <numeric>

#include "base/error.h"
#include "protocols/ot/steps/local_parties.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::protocols::ot;

namespace {

std::int64_t as_signed(std::uint32_t word, unsigned bits) {
  const std::int64_t value = word & low_bits(bits);
  return value >> (bits - 1) != 0 ? value - (std::int64_t{1} << bits) : value;
}

struct Case {
  std::int64_t x;
  std::uint32_t share;
};

/// Every value of [low, high) with every share modulo 2^w.
std::vector<Case> all_cases(std::int64_t low, std::int64_t high, unsigned w) {
  std::vector<Case> cases;
  for (std::int64_t x = low; x < high; ++x) {
    for (std::uint32_t share = 0; share <= low_bits(w); ++share) cases.push_back({x, share});
  }
  return cases;
}

std::vector<Case> random_cases(std::int64_t low, std::int64_t high, unsigned w, std::size_t count, Rng& rng) {
  std::vector<Case> cases;
  for (std::size_t i = 0; i < count; ++i) {
    const auto range = static_cast<std::uint64_t>(high - low);
    cases.push_back({low + static_cast<std::int64_t>(rng.below(range)),
                     static_cast<std::uint32_t>(rng.next_u64()) & low_bits(w)});
  }
  return cases;
}

using Step = std::function<Dialogue<Words>(TransferParty&, const Words&)>;

struct Outcome {
  Words results[2];
  Traffic traffic;
};

using Entry = std::function<void(FlightLedger&)>;

/// Runs a step on both parties' words; costs are those of the step alone, its transfers being reserved
/// before. What it costs must be what is entered.
Outcome run_step(TwoParties& parties, const Entry& entry, const Words& first, const Words& second,
                 const Step& step) {
  for (const bool one : {true, false}) parties.party(one).first_asks = true;
  FlightLedger cost;
  entry(cost);
  cost.finish();
  parties.run([&](TransferParty& party) -> Dialogue<void> {
    co_await reserve(party, cost.transfers()[0], cost.transfers()[1]);
  });
  const std::uint64_t before[2] = {parties.party(true).sender.taken(), parties.party(false).sender.taken()};
  Outcome outcome;
  outcome.traffic = parties.run([&](TransferParty& party) -> Dialogue<void> {
    Words result = co_await step(party, party.first ? first : second);
    outcome.results[party.first ? 0 : 1] = std::move(result);
  });
  CHECK(outcome.traffic.bytes[0] == cost.bytes(true));
  CHECK(outcome.traffic.bytes[1] == cost.bytes(false));
  CHECK(outcome.traffic.flights == cost.flights().size());
  CHECK(parties.party(true).sender.taken() - before[0] == cost.transfers()[0]);
  CHECK(parties.party(false).sender.taken() - before[1] == cost.transfers()[1]);
  CHECK(parties.party(true).first_asks == cost.first_asks);
  CHECK(parties.party(false).first_asks == cost.first_asks);
  return outcome;
}

/// ReLU or signed truncation of `count` values that drop t digits, in a result ring of its own.
struct OneShift {
  TruncationShape shape;
  unsigned result_ring;
  bool is_signed = false;

  OneShift(unsigned ring, unsigned t, unsigned result, std::size_t count) : result_ring(result) {
    shape.ring = ring;
    shape.groups = {{count, t}};
  }
  Entry entry() const {
    return [this](FlightLedger& ledger) {
      is_signed ? truncate(ledger, shape) : truncate_and_rectify(ledger, shape);
      extend(ledger, shape.kept(), result_ring);
    };
  }
  Step step(const Words* lowest = nullptr) const {
    return [this, lowest](TransferParty& party, const Words& mine) -> Dialogue<Words> {
      return run(party, mine, lowest == nullptr ? nullptr : &lowest[party.first ? 0 : 1]);
    };
  }

 private:
  Dialogue<Words> run(TransferParty& party, const Words& mine, LowestBits lowest) const {
    const WordGroups kept = shape.kept();
    Words words;
    if (is_signed) {
      words = co_await truncate(party, shape, mine, lowest);
    } else {
      words = co_await truncate_and_rectify(party, shape, mine, lowest);
    }
    Words result = co_await extend(party, kept, result_ring, words, is_signed);
    co_return result;
  }
};

Words first_shares(const std::vector<Case>& cases) {
  Words words;
  for (const Case& one : cases) words.push_back(one.share);
  return words;
}

Words second_shares(const std::vector<Case>& cases, unsigned w) {
  Words words;
  for (const Case& one : cases)
    words.push_back((static_cast<std::uint32_t>(one.x) - one.share) & low_bits(w));
  return words;
}

TransferSource small_source() {
  return TransferSource::named("softspoken");
}

}  // namespace

TEST_CASE("the planner finds the cheapest digits", "[ot][shares]") {
  CHECK(plan_chain(7) == ChainPlan{3, 2, 2});
  CHECK(chain_cost(plan_chain(7)).bits == 30);
  CHECK(plan_chain(7, 2) == ChainPlan{4, 3});
  CHECK(chain_cost(plan_chain(7, 2)).bits == 38);
  CHECK(chain_cost(plan_chain(8)).bits == 35);
  CHECK(chain_cost(plan_chain(8, 3)).bits == 39);
  CHECK_THROWS_AS(plan_chain(9, 2), UsageError);
  // Against every partition into digits.
  for (unsigned length = 1; length <= 11; ++length) {
    for (unsigned digits = (length + kMaxDigit - 1) / kMaxDigit; digits <= length; ++digits) {
      unsigned best = ~0U;
      ChainPlan plan;
      const std::function<void(unsigned)> extend = [&](unsigned left) {
        if (left == 0) best = std::min(best, chain_cost(plan).bits);
        if (plan.size() == digits) return;
        for (unsigned digit = 1; digit <= std::min(kMaxDigit, left); ++digit) {
          plan.push_back(digit);
          extend(left - digit);
          plan.pop_back();
        }
      };
      extend(length);
      const ChainPlan found = plan_chain(length, digits);
      CHECK(chain_cost(found).bits == best);
      CHECK(std::accumulate(found.begin(), found.end(), 0U) == length);
    }
  }
}

TEST_CASE("ReLU with truncation to nearest is right for all values and shares", "[ot][shares]") {
  test::SeededRng rng(1);
  TwoParties parties(small_source(), rng);
  for (const unsigned w : {4U, 6U, 7U}) {
    for (unsigned t = 0; t + 2 <= w; ++t) {
      for (const unsigned digit_bits : {0U, 3U}) {
        const std::int64_t half = std::int64_t{1} << (w - 1);
        const auto cases = all_cases(-half, half - ((std::int64_t{1} << t) >> 1), w);
        OneShift relu(w, t, w - t + (t % 2) * 3, cases.size());
        relu.shape.digit_bits = digit_bits;
        CAPTURE(w, t, digit_bits);
        const Outcome outcome =
            run_step(parties, relu.entry(), first_shares(cases), second_shares(cases, w), relu.step());
        std::size_t wrong = 0;
        for (std::size_t j = 0; j < cases.size(); ++j) {
          const std::int64_t rounded = (cases[j].x + ((std::int64_t{1} << t) >> 1)) >> t;
          const std::uint32_t got =
              (outcome.results[0][j] + outcome.results[1][j]) & low_bits(relu.result_ring);
          wrong += got != static_cast<std::uint32_t>(std::max<std::int64_t>(0, rounded)) ? 1 : 0;
        }
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("ReLU keeps only the digits that its results need", "[ot][shares]") {
  test::SeededRng rng(6);
  TwoParties parties(small_source(), rng);
  const unsigned w = 7, t = 2;
  for (const unsigned most_kept : {2U, 3U, 4U}) {
    for (const bool nearest : {true, false}) {
      CAPTURE(most_kept, nearest);
      const std::int64_t half = std::int64_t{1} << (most_kept + t - 1);
      const auto cases = all_cases(-half, half - (nearest ? 2 : 4), w);
      OneShift relu(w, t, w, cases.size());
      relu.shape.most_kept = most_kept;
      relu.shape.nearest = nearest;
      const Outcome outcome =
          run_step(parties, relu.entry(), first_shares(cases), second_shares(cases, w), relu.step());
      std::size_t wrong = 0;
      for (std::size_t j = 0; j < cases.size(); ++j) {
        const std::int64_t x = cases[j].x;
        const std::int64_t got = as_signed((outcome.results[0][j] + outcome.results[1][j]) & low_bits(w), w);
        const std::int64_t least = std::max<std::int64_t>(0, nearest ? (x + 2) >> t : x >> t);
        const std::int64_t most = nearest || x < 0 ? least : (x >> t) + 1;
        wrong += got < least || got > most ? 1 : 0;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("the bound of the nearest ReLU is exact", "[ot][shares]") {
  // The first value beyond it fails for every share: the bound is not too careful.
  test::SeededRng rng(2);
  TwoParties parties(small_source(), rng);
  const std::int64_t bound = 32 - 2;
  const auto cases = all_cases(bound, bound + 1, 6);
  const OneShift relu(6, 2, 6, cases.size());
  const Outcome outcome =
      run_step(parties, relu.entry(), first_shares(cases), second_shares(cases, 6), relu.step());
  for (std::size_t j = 0; j < cases.size(); ++j) {
    CHECK(((outcome.results[0][j] + outcome.results[1][j]) & 63U) == 0);  // its sign has turned
  }
}

TEST_CASE("the carry of the packed neighbour is taken in", "[ot][shares]") {
  // x = a0 + a1 + c, c the carry of the two lowest bits and 1: both parties' bits decide it.
  test::SeededRng rng(3);
  TwoParties parties(small_source(), rng);
  const std::int64_t half = 32;
  Words first;
  Words second;
  Words lowest[2];
  std::vector<std::int64_t> values;
  for (std::int64_t x = -half; x < half - 2; ++x) {
    for (std::uint32_t share = 0; share < 64; ++share) {
      for (std::uint32_t bits = 0; bits < 4; ++bits) {
        const std::uint32_t carry = ((bits & 1U) + (bits >> 1) + 1) >> 1;
        first.push_back(share);
        second.push_back((static_cast<std::uint32_t>(x) - share - carry) & 63U);
        lowest[0].push_back(bits & 1U);
        lowest[1].push_back(bits >> 1);
        values.push_back(x);
      }
    }
  }
  OneShift relu(6, 2, 6, values.size());
  relu.shape.neighbour = true;
  const Outcome outcome = run_step(parties, relu.entry(), first, second, relu.step(lowest));
  std::size_t wrong = 0;
  for (std::size_t j = 0; j < values.size(); ++j) {
    const std::int64_t expected = std::max<std::int64_t>(0, (values[j] + 2) >> 2);
    wrong += ((outcome.results[0][j] + outcome.results[1][j]) & 63U) != static_cast<std::uint32_t>(expected)
                 ? 1
                 : 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("stochastic truncation gives the floor or one more, without bias", "[ot][shares]") {
  test::SeededRng rng(4);
  TwoParties parties(small_source(), rng);
  for (const unsigned w : {6U, 7U}) {
    for (const unsigned t : {1U, 3U}) {
      const std::int64_t half = std::int64_t{1} << (w - 1);
      const auto cases = all_cases(-half, half - (std::int64_t{1} << t), w);
      OneShift relu(w, t, w, cases.size());
      relu.shape.nearest = false;
      const Outcome outcome =
          run_step(parties, relu.entry(), first_shares(cases), second_shares(cases, w), relu.step());
      std::map<std::int64_t, std::int64_t> sums;
      for (std::size_t j = 0; j < cases.size(); ++j) {
        const std::int64_t x = cases[j].x;
        const std::int64_t got = as_signed((outcome.results[0][j] + outcome.results[1][j]) & low_bits(w), w);
        sums[x] += got;
        if (x >= 0) {
          CHECK((got == x >> t || got == (x >> t) + 1));
        } else {
          CHECK(got == 0);
        }
      }
      // Over all shares the mean is x / 2^t.
      for (const auto& [x, sum] : sums) {
        if (x >= 0) CHECK(sum << t == x << w);
      }
    }
  }
}

TEST_CASE("signed truncation, sign and maximum", "[ot][shares]") {
  test::SeededRng rng(5);
  TwoParties parties(small_source(), rng);
  const unsigned w = 7;
  SECTION("truncation within its bounds") {
    for (unsigned t = 1; t <= 4; ++t) {
      const std::int64_t quarter = std::int64_t{1} << (w - 2);
      const std::int64_t rounding = std::int64_t{1} << (t - 1);
      const auto cases = all_cases(-quarter - rounding, quarter - rounding, w);
      OneShift truncation(w, t, 8, cases.size());
      truncation.is_signed = true;
      CAPTURE(t);
      const Outcome outcome = run_step(parties, truncation.entry(), first_shares(cases),
                                       second_shares(cases, w), truncation.step());
      std::size_t wrong = 0;
      for (std::size_t j = 0; j < cases.size(); ++j) {
        const std::int64_t got = as_signed((outcome.results[0][j] + outcome.results[1][j]) & 255U, 8);
        wrong += got != (cases[j].x + rounding) >> t ? 1 : 0;
      }
      CHECK(wrong == 0);
    }
  }
  SECTION("sign") {
    const auto cases = all_cases(-64, 64, w);
    const SignShape shape{cases.size(), w, false, 0};
    const Outcome outcome = run_step(
        parties, [&](FlightLedger& ledger) { sign(ledger, shape); }, first_shares(cases),
        second_shares(cases, w),
        [&](TransferParty& party, const Words& mine) { return sign(party, shape, mine); });
    for (std::size_t j = 0; j < cases.size(); ++j)
      REQUIRE((outcome.results[0][j] ^ outcome.results[1][j]) == (cases[j].x >= 0 ? 1U : 0U));
  }
  SECTION("maximum of all pairs in one bit more than they have") {
    const unsigned ring = 6;
    Words first[2];
    Words second[2];
    std::vector<std::int64_t> expected;
    for (std::int64_t x = -16; x < 16; ++x) {
      for (std::int64_t y = -16; y < 16; ++y) {
        for (unsigned repeat = 0; repeat < 4; ++repeat) {
          const auto a = static_cast<std::uint32_t>(rng.next_u64()) & 63U;
          const auto b = static_cast<std::uint32_t>(rng.next_u64()) & 63U;
          first[0].push_back(a);
          first[1].push_back((static_cast<std::uint32_t>(x) - a) & 63U);
          second[0].push_back(b);
          second[1].push_back((static_cast<std::uint32_t>(y) - b) & 63U);
          expected.push_back(std::max(x, y));
        }
      }
    }
    const ValueShape shape{{{expected.size(), ring}}, 0};
    const Outcome outcome = run_step(
        parties, [&](FlightLedger& ledger) { maximum(ledger, shape); }, first[0], first[1],
        [&](TransferParty& party, const Words& mine) {
          return maximum(party, shape, mine, second[party.first ? 0 : 1]);
        });
    for (std::size_t j = 0; j < expected.size(); ++j)
      REQUIRE(as_signed((outcome.results[0][j] + outcome.results[1][j]) & 63U, ring) == expected[j]);
  }
}

TEST_CASE("steps on wide rings, with every source", "[ot][shares]") {
  test::SeededRng rng(6);
  for (const char* const source : {"softspoken", "b10", "b12", "b13"}) {
    TwoParties parties(TransferSource::named(source), rng);
    for (const unsigned w : {16U, 20U, 30U}) {
      const unsigned t = w / 2;
      const std::int64_t half = std::int64_t{1} << (w - 1);
      const std::int64_t rounding = std::int64_t{1} << (t - 1);
      const std::size_t n = 1003;
      const auto cases = random_cases(-half, half - rounding, w, n, rng);
      const OneShift relu(w, t, w, n);
      CAPTURE(source, w);
      const Outcome outcome =
          run_step(parties, relu.entry(), first_shares(cases), second_shares(cases, w), relu.step());
      for (std::size_t j = 0; j < n; ++j) {
        const std::int64_t expected = std::max<std::int64_t>(0, (cases[j].x + rounding) >> t);
        REQUIRE(((outcome.results[0][j] + outcome.results[1][j]) & low_bits(w)) ==
                static_cast<std::uint32_t>(expected));
      }
    }
  }
}

TEST_CASE("re-sharing gives the second party the share it chose", "[ot][shares]") {
  test::SeededRng rng(7);
  TwoParties parties(small_source(), rng);
  const unsigned w = 11;
  const auto cases = random_cases(-1024, 1024, w, 77, rng);
  Words chosen(cases.size());
  for (std::uint32_t& word : chosen) word = static_cast<std::uint32_t>(rng.next_u64()) & low_bits(w);
  const Outcome outcome = run_step(
      parties, [&](FlightLedger& ledger) { re_share(ledger, cases.size(), w); }, first_shares(cases),
      second_shares(cases, w),
      [&](TransferParty& party, const Words& mine) {
        return re_share(party, w, mine, party.first ? nullptr : &chosen);
      });
  CHECK(outcome.results[1] == chosen);
  for (std::size_t j = 0; j < cases.size(); ++j)
    CHECK(as_signed((outcome.results[0][j] + chosen[j]) & low_bits(w), w) == cases[j].x);
}

TEST_CASE("channels that drop different numbers of digits go through the same flights", "[ot][shares]") {
  // Every value and share of each group, with and without a neighbour, both roundings, ReLU or not.
  test::SeededRng rng(8);
  TwoParties parties(small_source(), rng);
  const unsigned w = 7;
  for (const std::vector<unsigned>& shifts :
       {std::vector<unsigned>{1, 2}, {0, 1, 2, 3}, {0, 3, 5}, {2, 4}, {0, 5}}) {
    for (unsigned kind = 0; kind < 6; ++kind) {
      const bool is_signed = kind % 2 == 1;
      const bool nearest = kind < 4;
      const bool neighbour = kind >= 2 && nearest;
      OneShift step(w, 0, 9, 0);
      step.shape.groups.clear();
      step.shape.nearest = nearest;
      step.shape.neighbour = neighbour;
      step.shape.digit_bits = kind == 0 ? 3 : 0;
      step.is_signed = is_signed;
      Words first, second, lowest[2];
      std::vector<std::int64_t> values;
      std::vector<unsigned> shift_of;
      for (const unsigned t : shifts) {
        const std::int64_t rounding =
            nearest ? (std::int64_t{1} << t) >> 1 : (std::int64_t{1} << t) - (t == 0);
        const std::int64_t end = std::int64_t{1} << (w - (is_signed ? 2 : 1));
        const auto cases = all_cases(-end, end - rounding, w);
        step.shape.groups.push_back({cases.size(), t});
        for (const Case& one : cases) {
          const auto a = static_cast<std::uint32_t>(rng.below(2)),
                     b = static_cast<std::uint32_t>(rng.below(2));
          lowest[0].push_back(a);
          lowest[1].push_back(b);
          first.push_back(one.share);
          second.push_back((static_cast<std::uint32_t>(one.x) - one.share - (neighbour ? a | b : 0)) &
                           low_bits(w));
          values.push_back(one.x);
          shift_of.push_back(t);
        }
      }
      CAPTURE(shifts, kind);
      const Outcome outcome =
          run_step(parties, step.entry(), first, second, step.step(neighbour ? lowest : nullptr));
      std::size_t wrong = 0;
      for (std::size_t j = 0; j < values.size(); ++j) {
        const unsigned t = shift_of[j];
        const std::int64_t got = as_signed(outcome.results[0][j] + outcome.results[1][j], 9);
        const auto expected = [&](std::int64_t added) {
          const std::int64_t y = (values[j] + added) >> t;
          return is_signed ? y : std::max<std::int64_t>(0, y);
        };
        const std::int64_t most = (std::int64_t{1} << t) - 1;
        const bool right =
            nearest ? got == expected((most + 1) >> 1) : got == expected(0) || got == expected(most);
        wrong += right ? 0 : 1;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("conjunctions, bits and carries to words", "[ot][shares]") {
  test::SeededRng rng(9);
  TwoParties parties(small_source(), rng);
  for (unsigned inputs = 1; inputs <= 5; ++inputs) {
    Words first, second;
    for (std::uint32_t a = 0; a <= low_bits(inputs); ++a) {
      for (std::uint32_t b = 0; b <= low_bits(inputs); ++b) {
        first.push_back(a);
        second.push_back(b);
      }
    }
    const Outcome outcome = run_step(
        parties, [&](FlightLedger& ledger) { conjunction(ledger, inputs, first.size()); }, first, second,
        [&](TransferParty& party, const Words& mine) { return conjunction(party, inputs, mine); });
    for (std::size_t j = 0; j < first.size(); ++j) {
      REQUIRE((outcome.results[0][j] ^ outcome.results[1][j]) ==
              ((first[j] ^ second[j]) == low_bits(inputs) ? 1U : 0U));
    }
  }
  const Words a = {0, 0, 1, 1}, b = {0, 1, 0, 1};
  for (const bool carry : {true, false}) {
    const Outcome outcome = run_step(
        parties, [&](FlightLedger& ledger) { bit_to_word(ledger, a.size(), 13); }, a, b,
        [&](TransferParty& party, const Words& mine) {
          return carry ? carry_to_word(party, mine, 13) : bit_to_word(party, mine, 13);
        });
    for (std::size_t j = 0; j < a.size(); ++j) {
      REQUIRE(((outcome.results[0][j] + outcome.results[1][j]) & low_bits(13)) ==
              (carry ? a[j] | b[j] : a[j] ^ b[j]));
    }
  }
}

TEST_CASE("transfers of both directions are made in the same flights", "[ot][transfers]") {
  test::SeededRng rng(91);
  struct Case {
    TransferSource source;
    std::size_t from_first, from_second;
  };
  const TransferSource b10 = TransferSource::named("b10");
  for (const Case& one : {Case{b10, 0, 300'000}, Case{b10, 300'000, 0}, Case{b10, 100'000, 1'000'000},
                          Case{b10, 500'000, 30'000}, Case{TransferSource::named("b12"), 700'000, 500'000},
                          Case{TransferSource::named("softspoken"), 40'000, 70'000}}) {
    CAPTURE(one.source.name(), one.from_first, one.from_second);
    TwoParties parties(one.source, rng);
    const auto draw = [&](RandomTransferSender& sender, RandomTransferReceiver& receiver, std::size_t count) {
      std::vector<std::uint32_t> zero(count), ones(count), pads(count);
      std::vector<std::uint8_t> bits(count);
      sender.take(count, zero.data(), ones.data());
      receiver.take(count, pads.data(), bits.data());
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < count; ++i) wrong += pads[i] == (bits[i] != 0 ? ones[i] : zero[i]) ? 0 : 1;
      CHECK(wrong == 0);
    };
    for (int round = 0; round < 2; ++round) {
      const Traffic both = parties.run([&](TransferParty& party) {
        return protocols::ot::reserve(party, one.from_first, one.from_second);
      });
      draw(parties.party(true).sender, parties.party(false).receiver, one.from_first);
      draw(parties.party(false).sender, parties.party(true).receiver, one.from_second);
      // Once they are set up: two flights a batch, and batches grow with what is wanted.
      if (round > 0) CHECK(both.flights <= 2 * (1 + 1'000'000 / 200'000) + 2);
    }
  }
}
