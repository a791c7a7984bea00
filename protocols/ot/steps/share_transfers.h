// Transfers of small tables and of correlated words, made of random transfers; the ground of everything on
// shares.
//
// A piece is a coroutine that both parties run with the same shape and opposite `sends`. n values travel
// together.
#pragma once

#include <cstdint>
#include <span>

#include "protocols/ot/dialogue.h"
#include "protocols/ot/sources/random_transfer.h"

namespace popcorn::protocols::ot {

/// One party's means: its wire, and its halves of both directions.
struct TransferParty {
  Wire& wire;
  RandomTransferSender& sender;
  RandomTransferReceiver& receiver;
  /// The one whose constants enter (the server).
  bool first;
  /// Whether the next to ask is the first party; whoever sent last asks next, so that both travel together.
  /// The same at both.
  bool first_asks = true;

  bool asks() const noexcept { return first == first_asks; }
  void pass_turn() noexcept { first_asks = !first_asks; }
};

constexpr std::uint32_t low_bits(unsigned bits) noexcept {
  return bits >= 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << bits) - 1;
}

/// What pieces cost, exactly: bits a value on the wire in both directions, and random transfers a value.
struct ShareCost {
  unsigned bits = 0;
  unsigned transfers = 0;
  friend ShareCost operator+(ShareCost a, ShareCost b) {
    return {a.bits + b.bits, a.transfers + b.transfers};
  }
};

/// 1-of-2^b transfer of one bit, b ≤ 5: bit v of tables[j] is what choice v gets. Returns the sender's share:
/// the receiver gets the table's bit ⊕ it. b corrections and 2^b − 1 bits a value: the sender takes the pad
/// of value 0 as its share.
Dialogue<Words> send_tables(TransferParty& party, const Words& tables, unsigned b);
Dialogue<Words> receive_tables(TransferParty& party, const Words& choices, unsigned b);
/// The receiver's two halves, for steps that say something else in between: asking gives the pads that
/// hearing wants.
Words ask_tables(TransferParty& party, const Words& choices, unsigned b);
Dialogue<Words> hear_tables(TransferParty& party, const Words& choices, Words pads, unsigned b);
constexpr ShareCost table_cost(unsigned b) noexcept {
  return {b + (1U << b) - 1, b};
}

/// Values beside each other whose words have the same width.
struct WordGroup {
  std::size_t count = 0;
  unsigned bits = 0;  ///< at most 32
};
using WordGroups = std::vector<WordGroup>;
std::size_t value_count(const WordGroups& groups) noexcept;
/// Of the words of all groups on the wire.
std::uint64_t word_bytes(const WordGroups& groups) noexcept;

/// Correlated transfer of words: the receiver gets W0 + choice·difference, the sender W0.
Dialogue<Words> send_correlated(TransferParty& party, const Words& differences, const WordGroups& groups);
Dialogue<Words> receive_correlated(TransferParty& party, const Words& choices, const WordGroups& groups);
Words ask_correlated(TransferParty& party, const Words& choices);
Dialogue<Words> hear_correlated(TransferParty& party, const Words& choices, Words pads,
                                const WordGroups& groups);
}  // namespace popcorn::protocols::ot
