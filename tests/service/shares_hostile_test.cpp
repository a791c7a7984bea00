// A client of a session on shares that does not keep to the protocol, against the real server: a clear error
// with a stable code, nothing computed twice from other bytes, nothing answered after a failed check.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "protocols/shares/share_dry_run.h"
#include "protocols/shares/shares_schedule.h"
#include "protocols/wire/message.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;
using protocols::kMessagePrefixBytes;
using protocols::Phase;

namespace {

service::ServerOptions roomy(const std::vector<std::shared_ptr<const protocols::ServedModel>>& models) {
  auto options = small_server_options();
  options.models = models;
  options.max_sessions = 4000;
  options.token_limits = {4000, 1'000'000};
  return options;
}

struct World {
  SmallShares small = small_shares("tiny", 42);
  SmallShares other = small_shares("other", 4242);
  RunningServer server{roomy({small.model, other.model})};
  WideVector expected = plaintext_logits(*small.model, small.input);
  protocols::ServerSession probe{small.model, paillier::PublicContext::create(small_key()->public_key()),
                                 protocols::SessionOptions{.engine = "shares"}};

  ClientByHand client() const { return {server, *small.model, small.input}; }
  RawAnswer send(const ClientByHand& client, ByteView body) const {
    return send_round(server, client.session(), client.round(), body);
  }
  int status_of(const ClientByHand& client) const {
    return ask(server.port(), "GET", "/v2/sessions/" + client.session()).status;
  }
  /// Until a phase begins.
  void advance_to(ClientByHand& client, std::uint64_t round) const {
    while (client.round() < round) REQUIRE(client.send(server).empty());
  }
  std::uint64_t first_flight() const { return probe.preparation_rounds(); }
  std::uint64_t first_transfers() const {
    using namespace protocols::shares;
    const ShareFacts& facts = *small.model->bundle().share_facts;
    const SharePlan plan = plan_shares(facts.network, share_options(ShareRounding::nearest));
    const unsigned bits = small_key()->public_key().bits();
    return SharesSchedule(facts, ShareRounding::nearest, plan, bits).first_transfers();
  }
  std::uint64_t rounds() const { return probe.rounds(); }
};

/// A refusal that is the client's fault, with a code.
void check_refused(const RawAnswer& answer) {
  INFO(answer.status << " " << answer.body);
  CHECK(answer.status >= 400);
  CHECK(answer.status < 500);
  CHECK_FALSE(error_code(answer).empty());
}

Bytes changed(ByteView message, std::size_t place, std::uint8_t bit = 1) {
  Bytes bytes(message.begin(), message.end());
  bytes.at(place) ^= bit;
  return bytes;
}

/// The first ciphertext replaced.
Bytes with_ciphertext(ByteView message, ByteView value) {
  Bytes bytes(message.begin(), message.end());
  std::ranges::copy(value, bytes.begin() + kMessagePrefixBytes);
  return bytes;
}

std::set<Bytes> ciphertexts_of(ByteView message) {
  const protocols::Message parsed = protocols::parse_message(message);
  std::set<Bytes> all;
  const auto width = static_cast<std::size_t>(parsed.shape.ciphertext_bytes);
  for (std::size_t at = 0; at < parsed.ciphertexts.size(); at += width) {
    const ByteView one = parsed.ciphertexts.subspan(at, width);
    all.emplace(one.begin(), one.end());
  }
  return all;
}

}  // namespace

TEST_CASE("A message that is not the one due is refused in every round on shares, and the session goes on",
          "[shares][hostile]") {
  const World world;
  ClientByHand client = world.client();
  ClientByHand elsewhere(world.server, *world.other.model, world.other.input);
  Bytes before, answer_before;
  for (std::uint64_t round = 0; round < world.rounds(); ++round) {
    CAPTURE(round);
    const Bytes message = client.message();
    if (round > 0) {
      // The round before: the same bytes get the same answer, others none.
      const auto again = [&](ByteView body) {
        return send_round(world.server, client.session(), round - 1, body);
      };
      CHECK(body_of(again(before)) == answer_before);
      CHECK(error_code(again(changed(before, before.size() - 1))) == "round.conflict");
      CHECK(error_code(again(message)) != "");
      const std::string repeated = error_code(world.send(client, before));
      CHECK((repeated == "round.repeated" ||
             repeated == "request.too_large"));  // when it is larger than the due one
    }
    if (round > 1) {
      CHECK(error_code(send_round(world.server, client.session(), round - 2, before)) ==
            "round.out_of_order");
    }
    CHECK(error_code(send_round(world.server, client.session(), round + 1, message)) == "round.out_of_order");
    CHECK(error_code(send_round(world.server, client.session(), world.rounds(), message)) ==
          "round.out_of_order");
    CHECK(error_code(world.send(client, ByteView(message).first(message.size() - 1))) == "message.truncated");
    CHECK(error_code(world.send(client, ByteView(message).first(20))) == "message.truncated");
    Bytes longer = message;
    longer.push_back(0);
    check_refused(world.send(client, longer));
    CHECK(error_code(world.send(client, changed(message, 24))) == "message.foreign_key");
    // One of another session under the same key is known by its size, or by the checks of what follows.
    if (elsewhere.message().size() != message.size()) check_refused(world.send(client, elsewhere.message()));
    for (const std::size_t count : {8U, 64U, 72U, 80U}) {  // length, elements, ciphertexts, section
      Bytes huge = message;
      std::fill_n(huge.begin() + static_cast<std::ptrdiff_t>(count), 8, 0xff);
      const RawAnswer answer = world.send(client, huge);
      check_refused(answer);
      CHECK(error_code(answer).starts_with("message."));
    }
    const RawAnswer answer = world.send(client, message);
    REQUIRE(answer.status == 200);
    before = message;
    answer_before = body_of(answer);
    client.take(answer_before);
    if (!elsewhere.finished()) REQUIRE(elsewhere.send(world.server).empty());
  }
  CHECK(client.client().logits() == world.expected);
  check_refused(send_round(world.server, client.session(), world.rounds(), before));
}

TEST_CASE("Ciphertexts outside of Z*_N² are refused in a preparation, and the session goes on",
          "[shares][hostile]") {
  const World world;
  ClientByHand client = world.client();
  world.advance_to(client, 1);
  const std::size_t width = small_key()->public_key().ciphertext_bytes();
  const ByteView n = small_key()->public_key().modulus();
  const ByteView p = small_key()->private_key().p();
  Bytes modulus(width, 0), prime(width, 0);
  std::ranges::copy(n, modulus.end() - static_cast<std::ptrdiff_t>(n.size()));
  std::ranges::copy(p, prime.end() - static_cast<std::ptrdiff_t>(p.size()));
  for (const Bytes& bad : {Bytes(width, 0), Bytes(width, 0xff), modulus, prime}) {
    const RawAnswer answer = world.send(client, with_ciphertext(client.message(), bad));
    CHECK(answer.status == 422);
    CHECK(error_code(answer) == "ciphertext.invalid");
  }
  CHECK(client.finish(world.server) == world.expected);
}

TEST_CASE("A preparation offered twice is refused; the same request in two sessions gets unrelated masks",
          "[shares][hostile]") {
  const World world;
  ClientByHand client = world.client();
  ClientByHand second = world.client();
  world.advance_to(client, 1);
  world.advance_to(second, 1);
  const Bytes request = client.message();
  const RawAnswer first = world.send(client, request);
  REQUIRE(first.status == 200);
  // Within the session: the stored answer for the same bytes, nothing for others.
  CHECK(world.send(client, request).body == first.body);
  CHECK(error_code(world.send(client, changed(request, request.size() - 1))) == "round.conflict");
  Bytes one(small_key()->public_key().ciphertext_bytes(), 0);
  one.back() = 1;  // an encryption of 0 under the randomness 1: W·0 + R
  CHECK(error_code(world.send(client, with_ciphertext(request, one))) == "round.conflict");
  client.take(body_of(first));
  CHECK(client.finish(world.server) == world.expected);
  CHECK(error_code(send_round(world.server, client.session(), 1, request)) == "round.out_of_order");
  // In another session the same ciphertexts are multiplied anew, under another mask and re-randomised.
  const RawAnswer other = world.send(second, request);
  REQUIRE(other.status == 200);
  const std::set<Bytes> ours = ciphertexts_of(body_of(first)), theirs = ciphertexts_of(body_of(other));
  std::vector<Bytes> common;
  std::ranges::set_intersection(ours, theirs, std::back_inserter(common));
  CHECK(common.empty());
  CHECK(ours.size() + theirs.size() == 2 * ours.size());
}

TEST_CASE("Flights of another session end the session they are sent to", "[shares][hostile]") {
  const World world;
  REQUIRE(world.first_transfers() < world.first_flight());
  for (std::uint64_t round = world.first_transfers(); round < world.rounds(); ++round) {
    CAPTURE(round);
    ClientByHand client = world.client();
    ClientByHand other = world.client();
    world.advance_to(client, round);
    world.advance_to(other, round);
    const RawAnswer answer = world.send(client, other.message());
    if (round == world.first_transfers()) {
      // The extension's check: its columns are made of seeds of the other session's set-up.
      CHECK(error_code(answer) == "ot.check");
    }
    if (answer.status == 200)
      continue;  // corrections and masked bits: any bytes are some, the result is noise
    check_refused(answer);
    CHECK(world.status_of(client) == 410);
    CHECK(error_code(world.send(client, client.message())) == "session.gone");
  }
}

TEST_CASE("Random damage of any message of a session on shares: a refusal, or noise, never a failure",
          "[shares][hostile]") {
  const World world;
  SeededRng rng(77);
  std::size_t refused = 0, ended = 0, noise = 0;
  for (int trial = 0; trial < 60; ++trial) {
    CAPTURE(trial);
    ClientByHand client = world.client();
    world.advance_to(client, static_cast<std::uint64_t>(rng.below(world.rounds())));
    Bytes bytes = client.message();
    const auto edits = 1 + rng.below(4);
    for (std::uint64_t edit = 0; edit < edits; ++edit) {
      const bool prefix = rng.below(4) == 0;
      const std::size_t place = rng.below(prefix ? kMessagePrefixBytes : bytes.size());
      bytes[place] ^= static_cast<std::uint8_t>(rng.between(1, 255));
    }
    if (rng.below(8) == 0) bytes.resize(static_cast<std::size_t>(rng.below(bytes.size())));
    RawAnswer answer = world.send(client, bytes);
    if (answer.status != 200) {
      check_refused(answer);
      if (world.status_of(client) == 200) {
        ++refused;  // from public bytes: the right message still goes through
        CHECK(client.finish(world.server) == world.expected);
      } else {
        ++ended;
        CHECK(error_code(world.send(client, client.message())) == "session.gone");
      }
      continue;
    }
    // Taken as what it is. Nobody promises a right result any more, but one it is, or a refusal.
    ++noise;
    try {
      client.take(body_of(answer));
      while (!client.finished()) {
        answer = world.send(client, client.message());
        if (answer.status != 200) break;
        client.take(body_of(answer));
      }
      if (!client.finished()) check_refused(answer);
    } catch (const InputError& error) {
      CHECK_FALSE(error.code().empty());
    }
  }
  CAPTURE(refused, ended, noise);
  CHECK(refused > 0);
  CHECK(ended + noise > 0);
  // The server is as good as ever.
  CHECK(world.client().finish(world.server) == world.expected);
}

TEST_CASE("Facts of shares that were changed end in a clear error wherever a byte depends on them",
          "[shares][hostile]") {
  const World world;
  const std::string text = protocols::bundle_to_json(world.small.model->bundle());
  const nlohmann::json good = nlohmann::json::parse(text);
  SeededRng rng(78);
  std::size_t refused_at_once = 0, refused_later = 0, taken = 0;
  for (int trial = 0; trial < 200; ++trial) {
    nlohmann::json facts = good;
    // One number somewhere in the facts gets another value.
    std::vector<nlohmann::json*> numbers;
    const auto collect = [&](auto&& self, nlohmann::json& value) -> void {
      if (value.is_number_integer()) numbers.push_back(&value);
      if (value.is_structured()) {
        for (auto& inner : value) self(self, inner);
      }
    };
    collect(collect, facts["shares"]);
    nlohmann::json& number = *numbers[rng.below(numbers.size())];
    const std::int64_t was = number.get<std::int64_t>();
    const std::int64_t values[] = {was + 1, was - 1, 0, 2 * was + 1, 1 << 20, std::int64_t{1} << 40,
                                   -was - 1};
    number = values[rng.below(std::size(values))];
    if (number == was) continue;
    CAPTURE(trial, was, number.dump());
    std::optional<protocols::ClientSession> client;
    try {
      const protocols::ClientBundle bundle = protocols::bundle_from_json(facts.dump());
      protocols::SessionOptions options;
      options.engine = "shares";
      client.emplace(bundle, small_key(), world.small.input, options);
    } catch (const InputError& error) {
      ++refused_at_once;
      CHECK((error.code() == "bundle.shares" || error.code() == "layer.invalid" ||
             error.code() == "shares.ring" || error.code() == "model.too_wide" ||
             error.code() == "shares.label"));
      continue;
    }
    const std::string id = open_session(world.server, *world.small.model);
    try {
      std::uint64_t round = 0;
      RawAnswer answer;
      for (std::optional<ByteView> message = client->start(); message; ++round) {
        answer = send_round(world.server, id, round, *message);
        if (answer.status != 200) break;
        message = client->handle(body_of(answer));
      }
      if (client->finished()) {
        // No byte depended on what was changed. The result is what the lie makes of it, as with any server
        // that lies.
        ++taken;
      } else {
        check_refused(answer);
        ++refused_later;
      }
    } catch (const InputError& error) {
      ++refused_later;
      CHECK_FALSE(error.code().empty());
    }
    ask(world.server.port(), "DELETE", "/v2/sessions/" + id);
  }
  CAPTURE(refused_at_once, refused_later, taken);
  CHECK(refused_at_once > 20);
}
