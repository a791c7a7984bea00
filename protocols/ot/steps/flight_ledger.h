// What a protocol will send, message by message, so that its cost is known before it runs.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace popcorn::protocols::ot {

struct Flight {
  bool from_first = true;
  std::uint64_t bytes = 0;
  friend bool operator==(const Flight&, const Flight&) = default;
};

/// Messages in the order of causes; neighbours of one party are one flight. Mirrors a run's turns.
class FlightLedger {
 public:
  explicit FlightLedger(bool turn_of_first = true) : first_asks(turn_of_first) {}

  bool first_asks;  ///< as TransferParty's
  void pass_turn() noexcept { first_asks = !first_asks; }

  /// The party that has said what it had to say says more. No bytes are no message.
  void message(bool from_first, std::uint64_t bytes);
  /// What travels with the party's next message, whatever that is.
  void with_next(bool from_first, std::uint64_t bytes) noexcept { waiting_[from_first ? 0 : 1] += bytes; }
  /// Random transfers whose pads `from_first` has both of.
  void transfers(bool from_first, std::uint64_t count) noexcept { transfers_[from_first ? 0 : 1] += count; }
  /// What still waits for a next message becomes one.
  void finish();

  const std::vector<Flight>& flights() const noexcept { return flights_; }
  /// By sender: the first party's and the second's.
  const std::array<std::uint64_t, 2>& transfers() const noexcept { return transfers_; }
  std::uint64_t bytes(bool from_first) const noexcept { return bytes_[from_first ? 0 : 1]; }

 private:
  std::vector<Flight> flights_;
  std::array<std::uint64_t, 2> waiting_{};
  std::array<std::uint64_t, 2> transfers_{};
  std::array<std::uint64_t, 2> bytes_{};
};

}  // namespace popcorn::protocols::ot
