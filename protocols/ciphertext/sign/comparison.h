// The millionaires' comparison of ℓ-bit integers x (client) and y (server) with the result [x < y] shared by
// exclusive or, made of the transfers of ot/table_transfer.h. Two ways; the plan takes the one with fewer
// exchanges, of two alike the one with fewer bits:
//
//   chain  the carry of x + ¬y + 1, digit by digit from the lowest (ot/carry_chain.h): the parties answer in
//          turn, so q digits take q + 1 flights
//   tree   digits of 4 bits, a transfer each for shares of (less, equal), then levels of
//            less = less_high ⊕ equal_high ∧ less_low,   equal = equal_high ∧ equal_low
//          with a transfer of two bits in each direction for both conjunctions: the choice is a party's share
//          of equal_high. The lowest digit and what contains it need no `equal`. 2 + 2·⌈log2 digits⌉ flights
//
// The chain is better up to about 40 bits: 30 bits on the wire for each of them, the tree 33.
//
// Flight f is the client's when f is even. It answers the request of flight f − 1 and asks its own:
//   chain  flight f asks for digit f
//   tree   flight 0 asks for the digits, 2k − 1 and 2k for the two directions of level k
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/wide_vector.h"
#include "protocols/ot/steps/table_transfer.h"
#include "protocols/wire/session_state.h"

namespace popcorn::protocols {

class ComparisonPlan {
 public:
  /// @param bits ℓ ≥ 1
  explicit ComparisonPlan(unsigned bits);
  bool is_chain() const noexcept { return is_chain_; }
  /// Bits of each digit, lowest first.
  const std::vector<unsigned>& digits() const noexcept { return digits_; }
  unsigned flights() const noexcept;
  /// Questions and answers that the flights fill: flight 2e is in answer e, flight 2e − 1 in question e.
  unsigned exchanges() const noexcept { return flights() / 2 + 1; }
  /// What flight `flight` asks for; nothing in the last one.
  std::vector<ot::TableShape> requests(std::size_t count, unsigned flight) const;
  /// What flight `flight` answers; nothing in the first one.
  std::vector<ot::TableShape> answers(std::size_t count, unsigned flight) const {
    return flight == 0 ? std::vector<ot::TableShape>{} : requests(count, flight - 1);
  }
  /// Nodes of the tree before level `level` ≥ 1.
  std::size_t width(unsigned level) const noexcept;
  /// Bits on the wire for each comparison, transfers included.
  unsigned bits() const;

 private:
  ComparisonPlan(bool is_chain, std::vector<unsigned> digits)
      : is_chain_(is_chain), digits_(std::move(digits)) {}
  static ComparisonPlan tree(unsigned bits);
  static ComparisonPlan chain(unsigned bits, unsigned exchanges);

  bool is_chain_ = false;
  std::vector<unsigned> digits_;
};

/// One party's half of `count` comparisons. tables(f) and choices(f) are for the flights that it makes;
/// take(f) gets the shares of every flight's answer, made or heard.
class Comparison {
 public:
  enum class Party : std::uint8_t { client, server };
  /// @param values only their low `bits` bits are compared
  Comparison(Party party, unsigned bits, const WideVector& values);

  std::vector<ot::TableWords> tables(unsigned flight) const;
  /// After take() of the same flight.
  std::vector<ot::TableWords> choices(unsigned flight) const;
  void take(unsigned flight, std::vector<ot::Words> shares);
  /// Share of [x < y], one byte a comparison; after the last flight.
  std::vector<std::uint8_t> less() const;

  /// Appends what the party holds while it waits for flight `flight` of the other one.
  void save(unsigned flight, StateWriter& out) const;
  /// @throws InputError "session_state.*"
  static Comparison restore(Party party, unsigned bits, std::size_t count, unsigned flight, StateReader& in);

 private:
  Comparison(Party party, unsigned bits, std::size_t count) : plan_(bits), party_(party), count_(count) {}
  std::vector<ot::TableWords> digit_tables() const;
  std::vector<ot::TableWords> node_words(unsigned flight, bool tables) const;
  void take_half(const std::vector<ot::Words>& shares);
  void take_level(const std::vector<ot::Words>& shares);

  ComparisonPlan plan_;
  Party party_;
  std::size_t count_;
  ot::Words digits_;  ///< of all values, lowest digits first; of ¬y in a chain
  /// Shares: of the carry; or of the nodes' (less, equal), bits 0 and 1, lowest nodes first.
  ot::Words shares_;
  ot::Words half_;  ///< of the next level, while one direction is still to come
};

}  // namespace popcorn::protocols
