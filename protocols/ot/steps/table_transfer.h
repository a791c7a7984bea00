// Transfers of small tables in a session that may stop, move to another process and go on: 1-of-2^b transfers
// of words of w bits, b transfers of softspoken.h each.
//
//   receiver, nonce ν_r, choices c_j               sender, nonce ν_s, tables
//   extension named ν_r: z = y ⊕ x·Δ
//   extension, d = c ⊕ x        ──── request ────►  y' = y ⊕ d·Δ, so z = y' ⊕ c·Δ
//   pad of c: ⊕_i H(z_i)        ◄─── answer ──────  entry v ⊕ ⊕_i H(y'_i ⊕ v_i·Δ), but for v = 0
//
// The pad of entry 0 is the sender's share and is not sent: the receiver gets the chosen entry ⊕ it. Entry v
// uses the bits v, 2^b + v, … of every pad it selects.
//
// Nothing is answered twice with the same secrets, whatever is restored, repeated or run at the same time:
// the receiver draws a nonce for every request, which names the streams that make x and z; the pads' key is
// the digest of exactly the request's bytes and of a nonce that the sender draws for the answer. What a party
// keeps while it waits is the nonce and what its choices follow from; the same request is made again of them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/sha256.h"
#include "protocols/ot/kernels/kernel.h"
#include "protocols/ot/sources/base_seeds.h"
#include "protocols/ot/sources/random_transfer.h"
#include "protocols/ot/sources/softspoken.h"

namespace popcorn::protocols::ot {

using FlightNonce = std::array<std::uint8_t, 16>;

/// `count` tables of 2^choice_bits words of word_bits bits; 32 bits a table at most.
struct TableShape {
  std::size_t count = 0;
  unsigned choice_bits = 0;
  unsigned word_bits = 0;

  unsigned entries() const noexcept { return 1U << choice_bits; }
  /// Correlated transfers that they take.
  std::size_t transfers() const noexcept { return count * choice_bits; }
  /// What is sent of the tables, a whole number of bytes for each of (2^b − 1)·w bits.
  std::size_t answer_bytes() const noexcept;
};

/// Bits that one of these transfers costs beside its choice and its table: 15 of the 16 trees' corrections.
inline constexpr unsigned kTransferBits = 15;

/// Bytes of a request for all those tables together; nothing for none. @param base 1 when it also makes base
/// transfers
std::size_t request_bytes(std::span<const TableShape> shapes, bool base = false);
std::size_t answer_bytes(std::span<const TableShape> shapes);

/// One word a table. Of the receiver: its choice, in [0, 2^b). Of the sender: bit k·2^b + v is bit k of entry
/// v. Of either, as a result: the share, w bits.
struct TableWords {
  TableShape shape;
  Words words;
};

class TableReceiver {
 public:
  /// @param context as in softspoken.h
  TableReceiver(const OfferedSeeds& base, ByteView context);
  ~TableReceiver();
  /// Appends softspoken::set_up_bytes(), the same whenever it is called.
  void set_up(Bytes& out);
  /// After set_up(), in another object with the same base and context.
  void rebuild();
  /// Appends request_bytes(). @param nonce fresh, or that of the request which is made again with the same
  /// choices. @param base with choices, the first of them 0: one group of transfers more becomes the base
  /// transfers of the other direction, and their seeds are written there
  void request(const FlightNonce& nonce, std::span<const TableWords> choices, Bytes& out,
               ChosenSeeds* base = nullptr);
  /// Takes answer_bytes() and the nonce that came with them; gives the shares for the last request.
  std::vector<Words> receive(const FlightNonce& nonce, ByteView answer);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class TableSender {
 public:
  /// @param base its first choice is 0
  TableSender(const ChosenSeeds& base, ByteView context);
  ~TableSender();
  /// @throws FailedCheck "ot.check"
  void set_up(ByteView message);
  /// After set_up() of the same message, in another object with the same base and context: without the check.
  void rebuild(ByteView message);
  /// Takes request_bytes(shapes, base != nullptr). @param base seeds of the other direction are written there
  /// @throws FailedCheck "ot.check"
  void take_request(const FlightNonce& nonce, ByteView request, std::span<const TableShape> shapes,
                    OfferedSeeds* base = nullptr);
  /// Appends the answer to the last request, once; gives the sender's shares. @param nonce fresh, sent beside
  /// it
  std::vector<Words> answer(const FlightNonce& nonce, std::span<const TableWords> tables, Bytes& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::protocols::ot
