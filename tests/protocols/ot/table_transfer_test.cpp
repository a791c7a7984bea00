// Transfers of tables: right for every shape, never the same secrets twice, whatever is restored, repeated or
// changed, and cheaters are caught as often as the argument says.
#include "protocols/ot/steps/table_transfer.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <deque>
#include <set>

#include "base/error.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/steps/local_parties.h"
#include "protocols/ot/steps/share_transfers.h"
#include "protocols/ot/steps/transfer_session.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::protocols::ot {
namespace {

FlightNonce nonce_of(Rng& rng) {
  FlightNonce nonce;
  rng.fill(nonce);
  return nonce;
}

TableWords random_words(test::SeededRng& rng, const TableShape& shape, unsigned bits) {
  TableWords table{shape, Words(shape.count)};
  for (auto& word : table.words) word = static_cast<std::uint32_t>(rng.next_u64()) & low_bits(bits);
  return table;
}

unsigned table_bits(const TableShape& shape) {
  return shape.entries() * shape.word_bits;
}

/// Both parties of one direction, set up.
struct Pair {
  explicit Pair(Rng& rng, ByteView context = as_bytes("session"))
      : base(deal_base(rng)), receiver(base.offered, context), sender(base.chosen, context) {
    receiver.set_up(set_up);
    sender.set_up(set_up);
  }
  DealtBase base;
  TableReceiver receiver;
  TableSender sender;
  Bytes set_up;
};

std::uint32_t entry(const TableShape& shape, std::uint32_t table, std::uint32_t choice) {
  std::uint32_t word = 0;
  for (unsigned k = 0; k < shape.word_bits; ++k)
    word |= ((table >> (k * shape.entries() + choice)) & 1U) << k;
  return word;
}

TEST_CASE("every shape of tables gives the chosen word, shared", "[ot][tables]") {
  test::SeededRng rng(31);
  Pair pair(rng);
  std::vector<TableShape> shapes;
  for (unsigned choice = 1; choice <= 5; ++choice) {
    for (unsigned word = 1; (word << choice) <= 32; ++word)
      shapes.push_back({1 + rng.below(300), choice, word});
  }
  for (int round = 0; round < 3; ++round) {
    std::vector<TableWords> choices;
    std::vector<TableWords> tables;
    for (const TableShape& shape : shapes) {
      choices.push_back(random_words(rng, shape, shape.choice_bits));
      tables.push_back(random_words(rng, shape, table_bits(shape)));
    }
    const FlightNonce asked = nonce_of(rng);
    const FlightNonce answered = nonce_of(rng);
    Bytes request;
    pair.receiver.request(asked, choices, request);
    REQUIRE(request.size() == request_bytes(shapes));
    pair.sender.take_request(asked, request, shapes);
    Bytes answer;
    const std::vector<Words> own = pair.sender.answer(answered, tables, answer);
    REQUIRE(answer.size() == answer_bytes(shapes));
    const std::vector<Words> got = pair.receiver.receive(answered, answer);
    for (std::size_t t = 0; t < shapes.size(); ++t) {
      for (std::size_t j = 0; j < shapes[t].count; ++j) {
        REQUIRE((own[t][j] ^ got[t][j]) == entry(shapes[t], tables[t].words[j], choices[t].words[j]));
      }
    }
  }
}

TEST_CASE("more transfers than one extension makes are made in several", "[ot][tables]") {
  test::SeededRng rng(32);
  Pair pair(rng);
  const TableShape shape{70'000, 2, 1};  // 140,000 transfers
  const std::vector<TableWords> choices = {random_words(rng, shape, 2)};
  const std::vector<TableWords> tables = {random_words(rng, shape, 4)};
  const FlightNonce nonce = nonce_of(rng);
  Bytes request;
  Bytes answer;
  pair.receiver.request(nonce, choices, request);
  REQUIRE(request.size() == request_bytes(std::span(&shape, 1)));
  pair.sender.take_request(nonce, request, std::span(&shape, 1));
  const Words own = pair.sender.answer(nonce, tables, answer).front();
  const Words got = pair.receiver.receive(nonce, answer).front();
  std::size_t wrong = 0;
  for (std::size_t j = 0; j < shape.count; ++j)
    wrong += (own[j] ^ got[j]) == entry(shape, tables[0].words[j], choices[0].words[j]) ? 0 : 1;
  REQUIRE(wrong == 0);
}

TEST_CASE("a party that was restored goes on as the one that was saved", "[ot][tables]") {
  test::SeededRng rng(33);
  Pair pair(rng);
  const TableShape shape{100, 3, 2};
  const std::vector<TableWords> choices = {random_words(rng, shape, 3)};
  const std::vector<TableWords> tables = {random_words(rng, shape, 16)};
  const FlightNonce asked = nonce_of(rng);
  const FlightNonce answered = nonce_of(rng);
  Bytes request;
  pair.receiver.request(asked, choices, request);
  TableReceiver receiver(pair.base.offered, as_bytes("session"));
  receiver.rebuild();
  Bytes again;
  receiver.request(asked, choices, again);
  REQUIRE(again == request);
  TableSender sender(pair.base.chosen, as_bytes("session"));
  sender.rebuild(pair.set_up);
  sender.take_request(asked, request, std::span(&shape, 1));
  Bytes answer;
  const Words own = sender.answer(answered, tables, answer).front();
  const Words got = receiver.receive(answered, answer).front();
  for (std::size_t j = 0; j < shape.count; ++j)
    REQUIRE((own[j] ^ got[j]) == entry(shape, tables[0].words[j], choices[0].words[j]));
}

/// Bits in which two strings of the same length differ, as a share of all.
double difference(ByteView a, ByteView b) {
  REQUIRE(a.size() == b.size());
  std::size_t ones = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    ones += static_cast<std::size_t>(__builtin_popcount(static_cast<unsigned>(a[i] ^ b[i])));
  return static_cast<double>(ones) / (8.0 * static_cast<double>(a.size()));
}

TEST_CASE("nothing is answered twice with the same secrets", "[ot][tables]") {
  // A sender and a receiver that come back from one state again and again: whatever they are given, the same
  // or something else, what they say has nothing in common with what they said. With 40,000 bits half ± 1.5 %
  // is six standard deviations.
  test::SeededRng rng(34);
  const DealtBase base = deal_base(rng);
  const TableShape shape{1000, 4, 2};
  const std::vector<TableWords> zeros = {{shape, Words(shape.count)}};
  const std::vector<TableWords> ones = {{shape, Words(shape.count, 15)}};
  TableReceiver first(base.offered, as_bytes("session"));
  Bytes set_up;
  first.set_up(set_up);
  // Of one session the requests, of an old copy of the receiver each; the other choices in every second.
  std::vector<FlightNonce> nonces;
  std::vector<Bytes> requests;
  for (int copy = 0; copy < 4; ++copy) {
    TableReceiver receiver(base.offered, as_bytes("session"));
    receiver.rebuild();
    nonces.push_back(nonce_of(rng));
    receiver.request(nonces.back(), copy % 2 == 0 ? zeros : ones, requests.emplace_back());
  }
  std::vector<Bytes> answers;
  for (std::size_t request = 0; request < requests.size(); ++request) {
    for (int repeated = 0; repeated < 2; ++repeated) {
      TableSender sender(base.chosen, as_bytes("session"));
      sender.rebuild(set_up);
      sender.take_request(nonces[request], requests[request], std::span(&shape, 1));
      // Tables of zeros: what is sent is the pads.
      sender.answer(nonce_of(rng), zeros, answers.emplace_back());
    }
  }
  for (const std::vector<Bytes>* said : {&requests, &answers}) {
    for (std::size_t a = 0; a < said->size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        CAPTURE(a, b);
        REQUIRE(std::abs(difference((*said)[a], (*said)[b]) - 0.5) < 0.015);
      }
    }
  }
}

TEST_CASE("changed and reordered requests are refused, or answered with other pads", "[ot][tables]") {
  test::SeededRng rng(35);
  const TableShape shape{500, 2, 1};
  const std::vector<TableWords> zeros = {{shape, Words(shape.count)}};
  for (int trial = 0; trial < 40; ++trial) {
    Pair pair(rng);
    std::vector<FlightNonce> nonces = {nonce_of(rng), nonce_of(rng)};
    std::vector<Bytes> requests(2);
    for (std::size_t i = 0; i < 2; ++i) pair.receiver.request(nonces[i], zeros, requests[i]);
    // Under the other one's nonce.
    REQUIRE_THROWS_AS(pair.sender.take_request(nonces[0], requests[1], std::span(&shape, 1)), FailedCheck);
    // Corrections of the choices are the receiver's own business: they change the pads and nothing else.
    const std::size_t checked = request_bytes(std::span(&shape, 1)) - shape.transfers() / 8;
    Bytes changed = requests[0];
    changed[checked + rng.below(shape.transfers() / 8)] ^= 1;
    std::vector<Bytes> answers(2);
    const FlightNonce same = nonce_of(rng);
    for (std::size_t i = 0; i < 2; ++i) {
      pair.sender.take_request(nonces[0], i == 0 ? requests[0] : changed, std::span(&shape, 1));
      pair.sender.answer(same, zeros, answers[i]);
    }
    REQUIRE(std::abs(difference(answers[0], answers[1]) - 0.5) < 0.08);
    // Any other bit is found out but for those that only decide about a column whose bit of Δ is 0, which a
    // changed challenge shows.
    changed = requests[0];
    changed[rng.below(checked)] ^= static_cast<std::uint8_t>(1U << rng.below(8));
    REQUIRE_THROWS_AS(pair.sender.take_request(nonces[0], changed, std::span(&shape, 1)), FailedCheck);
  }
}

TEST_CASE("a receiver that guesses bits of Δ is caught as often as it guesses wrong", "[ot][tables]") {
  // The best of a receiver is a guess: here wrong seeds in some base transfers, which pass when the sender
  // chose the other one in all of them.
  test::SeededRng rng(36);
  for (const std::size_t bits : {1U, 2U, 3U, 5U}) {
    constexpr int kTrials = 400;
    int caught = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      DealtBase base = deal_base(rng);
      bool right = true;
      for (std::size_t k = 0; k < bits; ++k) {
        const std::size_t transfer = 1 + (29 * k + static_cast<std::size_t>(trial)) % (kBaseTransfers - 1);
        const std::uint8_t side = static_cast<std::uint8_t>(rng.below(2));
        base.offered.pairs[transfer][side].low ^= 1;
        right = right && base.chosen.choices[transfer] != side;
      }
      TableReceiver receiver(base.offered, as_bytes("s"));
      TableSender sender(base.chosen, as_bytes("s"));
      Bytes set_up;
      receiver.set_up(set_up);
      try {
        sender.set_up(set_up);
        REQUIRE(right);
      } catch (const FailedCheck& error) {
        REQUIRE(error.code() == "ot.check");
        REQUIRE_FALSE(right);
        ++caught;
      }
    }
    const double pass = std::pow(0.5, static_cast<double>(bits));
    CAPTURE(bits, caught);
    REQUIRE(std::abs(caught - kTrials * (1 - pass)) < 5 * std::sqrt(kTrials * pass * (1 - pass)));
  }
}

TEST_CASE("choices that differ between columns are caught in every trial", "[ot][tables]") {
  test::SeededRng rng(37);
  const TableShape shape{300, 1, 1};
  const std::vector<TableWords> choices = {random_words(rng, shape, 1)};
  constexpr int kTrials = 300;
  int caught = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Pair pair(rng);
    const FlightNonce nonce = nonce_of(rng);
    Bytes request;
    pair.receiver.request(nonce, choices, request);
    // One tree's corrections say other choices than the rest, in many rows.
    const std::size_t stride = 4 * sizeof(Block);
    const std::size_t tree = rng.below(15);
    for (std::size_t i = 0; i < stride; ++i)
      request[tree * stride + i] ^= static_cast<std::uint8_t>(rng.next_u64());
    try {
      pair.sender.take_request(nonce, request, std::span(&shape, 1));
    } catch (const FailedCheck&) {
      ++caught;
    }
  }
  REQUIRE(caught == kTrials);
}

/// A session's two parties, both directions.
struct Session {
  Session(const DealtBase& base, ByteView nonce) : client(base.offered, nonce), server(base.chosen, nonce) {}
  TransferSession client, server;
};

TEST_CASE("sessions of one set-up share no secret, also when they run at once", "[ot][tables]") {
  // Every 16 bytes that any of them sends: seeds' sums, corrections and pads, in both directions. One that
  // came twice would be a repeated stream or pad.
  test::SeededRng rng(38);
  const DealtBase base = deal_base(rng);
  const TableShape shape{256, 2, 1};
  const std::vector<TableWords> zeros = {{shape, Words(shape.count)}};
  const std::span<const TableShape> shapes(&shape, 1);
  std::deque<Session> sessions;
  for (int i = 0; i < 6; ++i) {
    Bytes nonce(32);
    rng.fill(nonce);
    sessions.emplace_back(base, nonce);
  }
  std::set<std::string> seen;
  std::size_t blocks = 0;
  for (unsigned flight = 0; flight < 6; ++flight) {
    for (Session& session : sessions) {
      TransferSession& maker = flight % 2 == 0 ? session.client : session.server;
      TransferSession& taker = flight % 2 == 0 ? session.server : session.client;
      Bytes message;
      maker.answer(flight == 0 ? std::span<const TableWords>{} : zeros, rng, message);
      maker.request(zeros, message);
      taker.take(message, shapes);
      for (std::size_t at = 0; at + 16 <= message.size(); at += 16, ++blocks)
        seen.insert(to_hex(ByteView(message).subspan(at, 16)));
    }
  }
  REQUIRE(seen.size() == blocks);
}

}  // namespace
}  // namespace popcorn::protocols::ot
