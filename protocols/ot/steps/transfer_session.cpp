#include "protocols/ot/steps/transfer_session.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/secret.h"

namespace popcorn::protocols::ot {

namespace {

constexpr std::string_view kOfClient = "session, requests of the client";
constexpr std::string_view kOfServer = "session, requests of the server";

/// Context of the transfers of one party's requests.
Bytes direction(ByteView nonce, std::string_view requests_of) {
  const ByteView party = as_bytes(requests_of);
  Bytes context(party.begin(), party.end());
  context.insert(context.end(), nonce.begin(), nonce.end());
  return context;
}

template <typename Seeds>
ByteView bytes_of(const Seeds& seeds) {
  return {reinterpret_cast<const std::uint8_t*>(&seeds), sizeof seeds};
}

template <typename Seeds>
void read(StateReader& in, Seeds& seeds) {
  std::memcpy(&seeds, in.bytes(sizeof seeds).data(), sizeof seeds);
}

}  // namespace

std::size_t flight_bytes(FlightSetUp set_up, std::span<const TableShape> answered,
                         std::span<const TableShape> requested) {
  const std::size_t trees = set_up == FlightSetUp::none ? 0 : softspoken::set_up_bytes();
  const bool base = set_up == FlightSetUp::of_client;
  const std::size_t request = requested.empty() && !base ? 0 : request_bytes(requested, base);
  return sizeof(FlightNonce) + trees + answer_bytes(answered) + request;
}

struct TransferSession::State {
  bool is_client;
  Bytes nonce;
  std::optional<TableReceiver> receiver;
  std::optional<TableSender> sender;
  /// Base transfers of the server's requests, this party's half.
  OfferedSeeds offered{};
  ChosenSeeds chosen{};
  bool has_set_up = false;  ///< of the other party, which is in `other_set_up`
  bool sent_set_up = false;
  Bytes other_set_up;
  FlightNonce own_nonce{};  ///< of the last flight
  bool with_base = false;   ///< the last request
  bool waits = false;       ///< for an answer to it

  State(bool client, ByteView session) : is_client(client), nonce(session.begin(), session.end()) {}
  ~State() {
    OPENSSL_cleanse(&offered, sizeof offered);
    OPENSSL_cleanse(&chosen, sizeof chosen);
  }

  void take_set_up(ByteView message) {
    other_set_up.assign(message.begin(), message.end());
    if (is_client) sender.emplace(chosen, direction(nonce, kOfServer));
  }
};

TransferSession::TransferSession(const OfferedSeeds& kept, ByteView nonce)
    : state_(std::make_unique<State>(true, nonce)) {
  state_->receiver.emplace(kept, direction(nonce, kOfClient));
}

TransferSession::TransferSession(const ChosenSeeds& kept, ByteView nonce)
    : state_(std::make_unique<State>(false, nonce)) {
  state_->sender.emplace(kept, direction(nonce, kOfClient));
}

TransferSession::~TransferSession() = default;

std::vector<Words> TransferSession::answer(std::span<const TableWords> tables, Rng& rng, Bytes& out) {
  State& state = *state_;
  rng.fill(state.own_nonce);
  POPCORN_DECLASSIFY(state.own_nonce);  // it is sent
  out.insert(out.end(), state.own_nonce.begin(), state.own_nonce.end());
  state.with_base = false;
  if (!state.sent_set_up) {
    if (state.is_client) {
      rng.fill(state.chosen.choices);
      for (std::uint8_t& choice : state.chosen.choices) choice &= 1;
      state.chosen.choices[0] = 0;
      state.with_base = true;
    } else {
      state.receiver.emplace(state.offered, direction(state.nonce, kOfServer));
    }
    state.receiver->set_up(out);
    state.sent_set_up = true;
  }
  if (tables.empty()) return {};
  return state.sender->answer(state.own_nonce, tables, out);
}

void TransferSession::request(std::span<const TableWords> choices, Bytes& out) {
  State& state = *state_;
  if (choices.empty() && !state.with_base) return;
  state.receiver->request(state.own_nonce, choices, out, state.with_base ? &state.chosen : nullptr);
  state.waits = true;
}

std::vector<Words> TransferSession::take(ByteView flight, std::span<const TableShape> requested) {
  State& state = *state_;
  FlightNonce nonce;
  std::ranges::copy(flight.first(nonce.size()), nonce.begin());
  flight = flight.subspan(nonce.size());
  const bool first = !state.has_set_up;
  if (first) {
    state.take_set_up(flight.first(softspoken::set_up_bytes()));
    state.sender->set_up(state.other_set_up);
    state.has_set_up = true;
    flight = flight.subspan(softspoken::set_up_bytes());
  }
  const bool with_base = first && !state.is_client;
  const std::size_t request = requested.empty() && !with_base ? 0 : request_bytes(requested, with_base);
  std::vector<Words> shares;
  if (state.waits) shares = state.receiver->receive(nonce, flight.first(flight.size() - request));
  state.waits = false;
  if (request > 0)
    state.sender->take_request(nonce, flight.last(request), requested, with_base ? &state.offered : nullptr);
  return shares;
}

//   nonce of the last flight; of the client, or once started: the base transfers of the server's requests;
//   once started: the other party's set-up
void TransferSession::save(StateWriter& out) const {
  const State& state = *state_;
  out.bytes(state.own_nonce);
  if (state.is_client) {
    out.bytes(bytes_of(state.chosen));
  } else if (state.has_set_up) {
    out.bytes(bytes_of(state.offered));
  }
  if (state.has_set_up) out.bytes(state.other_set_up);
}

void TransferSession::restore(bool started, StateReader& in) {
  State& state = *state_;
  std::ranges::copy(in.bytes(sizeof(FlightNonce)), state.own_nonce.begin());
  state.has_set_up = started;
  state.sent_set_up = started || state.is_client;
  state.with_base = !started && state.is_client;
  if (state.is_client) {
    read(in, state.chosen);
    const auto is_no_bit = [](std::uint8_t choice) { return choice > 1; };
    if (state.chosen.choices[0] != 0 || std::ranges::any_of(state.chosen.choices, is_no_bit))
      StateReader::reject("its base transfers have choices other than 0 and 1");
  } else if (started) {
    read(in, state.offered);
    state.receiver.emplace(state.offered, direction(state.nonce, kOfServer));
  }
  if (state.sent_set_up) state.receiver->rebuild();
  if (!started) return;
  state.take_set_up(in.bytes(softspoken::set_up_bytes()));
  state.sender->rebuild(state.other_set_up);
}

void TransferSession::repeat_request(std::span<const TableWords> choices) {
  Bytes sent;  // already: only what is kept until the answer comes is wanted
  request(choices, sent);
}

}  // namespace popcorn::protocols::ot
