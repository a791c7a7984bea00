#include "protocols/ot/steps/share_transfers.h"

#include "base/error.h"
#include "base/secret_bytes.h"
#include "protocols/ot/bits/bit_planes.h"
#include "protocols/ot/bits/value_loop.h"

namespace popcorn::protocols::ot {

namespace {

/// Takes the receiver's random transfers for `b` bits of each of n choices, appends the corrections. Returns
/// the exclusive or of each value's pads.
Words request(TransferParty& party, const Words& choices, unsigned b) {
  const std::size_t n = choices.size();
  Words pads(n);
  Words sum(n);
  std::vector<std::uint8_t> bits(n);
  Words corrections(n);
  for (unsigned i = 0; i < b; ++i) {
    party.receiver.take(n, pads.data(), bits.data());
    for_each_value(n, [&](std::size_t j) {
      corrections[j] = ((choices[j] >> i) ^ bits[j]) & 1U;
      sum[j] ^= pads[j];
    });
    put_planes(corrections, 0, 1, party.wire.out());
  }
  wipe_and_clear(pads);
  wipe_and_clear(bits);
  return sum;
}

}  // namespace

Dialogue<Words> send_tables(TransferParty& party, const Words& tables, unsigned b) {
  const std::size_t n = tables.size();
  Words masks(n);
  Words zero(n);
  Words one(n);
  const ByteView corrections = co_await party.wire.receive(b * plane_bytes(n));
  for (unsigned i = 0; i < b; ++i) {
    party.sender.take(n, zero.data(), one.data());
    Words flips(n);
    get_planes(corrections.subspan(i * plane_bytes(n), plane_bytes(n)), 0, 1, flips);
    const std::uint32_t select = kSelect[i];
    // Value v takes bit v of the pad that the receiver has when its bit i is that of v.
    for_each_value(
        n, [&](std::size_t j) { masks[j] ^= zero[j] ^ ((zero[j] ^ one[j]) & ((0 - flips[j]) ^ select)); });
  }
  Words shares(n);
  for_each_value(n, [&](std::size_t j) {
    const std::uint32_t masked = tables[j] ^ masks[j];
    shares[j] = masked & 1U;
    masks[j] = masked ^ (0 - shares[j]);
  });
  put_planes(masks, 1, 1U << b, party.wire.out());
  wipe_and_clear(zero);
  wipe_and_clear(one);
  co_return shares;
}

Words ask_tables(TransferParty& party, const Words& choices, unsigned b) {
  return request(party, choices, b);
}

Dialogue<Words> receive_tables(TransferParty& party, const Words& choices, unsigned b) {
  Words pads = ask_tables(party, choices, b);
  Words result = co_await hear_tables(party, choices, std::move(pads), b);
  co_return result;
}

Dialogue<Words> hear_tables(TransferParty& party, const Words& choices, Words pads, unsigned b) {
  const std::size_t n = choices.size();
  const ByteView message = co_await party.wire.receive(((1U << b) - 1) * plane_bytes(n));
  Words masked(n);
  get_planes(message, 1, 1U << b, masked);
  for_each_value(
      n, [&](std::size_t j) { masked[j] = ((masked[j] ^ pads[j]) >> (choices[j] & low_bits(b))) & 1U; });
  wipe_and_clear(pads);
  co_return masked;
}

std::size_t value_count(const WordGroups& groups) noexcept {
  std::size_t count = 0;
  for (const WordGroup& group : groups) count += group.count;
  return count;
}

std::uint64_t word_bytes(const WordGroups& groups) noexcept {
  std::uint64_t bytes = 0;
  for (const WordGroup& group : groups) bytes += group.bits * plane_bytes(group.count);
  return bytes;
}

Dialogue<Words> send_correlated(TransferParty& party, const Words& differences, const WordGroups& groups) {
  const std::size_t n = differences.size();
  Words zero(n);
  Words one(n);
  Words flips(n);
  const ByteView corrections = co_await party.wire.receive(plane_bytes(n));
  get_planes(corrections, 0, 1, flips);
  party.sender.take(n, zero.data(), one.data());
  std::size_t j = 0;
  for (const WordGroup& group : groups) {
    const std::span<const std::uint32_t> words(one.data() + j, group.count);
    for_each_value(group.count, [&, first = j](std::size_t i) {
      const std::size_t k = first + i;
      const std::uint32_t swap = (zero[k] ^ one[k]) & (0 - flips[k]);
      zero[k] ^= swap;
      one[k] = zero[k] + differences[k] - (one[k] ^ swap);
      zero[k] &= low_bits(group.bits);
    });
    j += group.count;
    put_planes(words, 0, group.bits, party.wire.out());
  }
  wipe_and_clear(one);
  co_return zero;
}

Words ask_correlated(TransferParty& party, const Words& choices) {
  return request(party, choices, 1);
}

Dialogue<Words> receive_correlated(TransferParty& party, const Words& choices, const WordGroups& groups) {
  Words pads = ask_correlated(party, choices);
  Words result = co_await hear_correlated(party, choices, std::move(pads), groups);
  co_return result;
}

Dialogue<Words> hear_correlated(TransferParty& party, const Words& choices, Words pads,
                                const WordGroups& groups) {
  ByteView message = co_await party.wire.receive(word_bytes(groups));
  Words values(choices.size());
  std::size_t j = 0;
  for (const WordGroup& group : groups) {
    const std::size_t bytes = group.bits * plane_bytes(group.count);
    get_planes(message.first(bytes), 0, group.bits, std::span(values).subspan(j, group.count));
    message = message.subspan(bytes);
    for_each_value(group.count, [&, first = j](std::size_t i) {
      const std::size_t k = first + i;
      values[k] = (pads[k] + (values[k] & (0 - (choices[k] & 1U)))) & low_bits(group.bits);
    });
    j += group.count;
  }
  wipe_and_clear(pads);
  co_return values;
}

}  // namespace popcorn::protocols::ot
