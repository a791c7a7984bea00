// The transfers of one session, both directions, as the two parties speak in turn:
//
//   flight of the client or the server:  nonce, [trees' set-up in its first one], [answer to the other's
//                                        request], [its own request]
//
// The kept base transfers are those of the client's requests; those of the server's requests are made of a
// group of transfers in the client's first flight. table_transfer.h says why no flight answers with secrets
// that another one used.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "protocols/ot/steps/table_transfer.h"
#include "protocols/wire/session_state.h"

namespace popcorn::protocols::ot {

/// What a flight carries beside nonce, answer and request.
enum class FlightSetUp : std::uint8_t { none, of_client, of_server };

std::size_t flight_bytes(FlightSetUp set_up, std::span<const TableShape> answered,
                         std::span<const TableShape> requested);

class TransferSession {
 public:
  /// The client's. @param nonce of the session, the same at both parties, and never twice with one set-up
  TransferSession(const OfferedSeeds& kept, ByteView nonce);
  /// The server's.
  TransferSession(const ChosenSeeds& kept, ByteView nonce);
  ~TransferSession();

  /// Appends a flight that answers the request taken last. Gives this party's shares of the tables.
  std::vector<Words> answer(std::span<const TableWords> tables, Rng& rng, Bytes& out);
  /// Appends to the same flight.
  void request(std::span<const TableWords> choices, Bytes& out);
  /// Takes a flight: gives the shares of what it answers, which is this party's last request, and makes its
  /// request the one that is answered next. @param flight of the length that flight_bytes() says
  /// @throws FailedCheck "ot.check"
  std::vector<Words> take(ByteView flight, std::span<const TableShape> requested);

  void save(StateWriter& out) const;
  /// Makes a new object of the same party, kept seeds and nonce the one that was saved; where it waits for an
  /// answer, repeat_request() with the same choices follows. @param started whether the server has taken the
  /// client's first flight and the client the server's
  void restore(bool started, StateReader& in);
  void repeat_request(std::span<const TableWords> choices);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::protocols::ot
