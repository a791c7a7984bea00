#include "protocols/ot/steps/share_transfers.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/secret_bytes.h"
#include "protocols/ot/bits/bit_planes.h"
#include "protocols/ot/bits/value_loop.h"

namespace popcorn::protocols::ot {

namespace {

/// Where `count` more bytes of a message begin.
std::uint8_t* appended(Bytes& out, std::size_t count) {
  out.resize(out.size() + count);
  return out.data() + out.size() - count;
}

using Part = std::array<std::uint32_t, kValuesTogether>;

/// Takes the receiver's random transfers for `b` bits of each of n choices, appends the corrections. Returns
/// the exclusive or of each value's pads.
Words request(TransferParty& party, const Words& choices, unsigned b) {
  const std::size_t n = choices.size();
  const ReceivedTransfers mine = party.receiver.take(b * n);
  std::uint8_t* const out = appended(party.wire.out(), b * plane_bytes(n));
  Words sum(n);
  for_each_part(n, [&](std::size_t first, std::size_t count) {
    Part corrections;
    std::uint32_t* const sums = sum.data() + first;
    for (unsigned i = 0; i < b; ++i) {
      const std::uint32_t* const pads = mine.pads + i * n + first;
      const std::uint8_t* const bits = mine.bits + i * n + first;
      for (std::size_t j = 0; j < count; ++j) {
        corrections[j] = ((choices[first + j] >> i) ^ bits[j]) & 1U;
        sums[j] ^= pads[j];
      }
      put_planes_at({corrections.data(), count}, 0, 1, out + i * plane_bytes(n) + first / 8, 0);
    }
  });
  return sum;
}

/// Of one part of the values: masks[j] ^= what the receiver cannot have of transfer i of value j.
void mask_with_pads(const SentTransfers& pads, std::size_t first, const Part& flips, std::uint32_t select,
                    std::span<std::uint32_t> masks) {
  const std::uint32_t* const zero = pads.zero + first;
  const std::uint32_t* const one = pads.one + first;
  // Value v takes bit v of the pad that the receiver has when its bit i is that of v.
  for (std::size_t j = 0; j < masks.size(); ++j)
    masks[j] ^= zero[j] ^ ((zero[j] ^ one[j]) & ((0 - flips[j]) ^ select));
}

}  // namespace

Dialogue<Words> send_tables(TransferParty& party, const Words& tables, unsigned b) {
  const std::size_t n = tables.size();
  const std::size_t plane = plane_bytes(n);
  const ByteView corrections = co_await party.wire.receive(b * plane);
  const SentTransfers mine = party.sender.take(b * n);
  std::uint8_t* const out = appended(party.wire.out(), ((1U << b) - 1) * plane);
  Words shares(n);
  for_each_part(n, [&](std::size_t first, std::size_t count) {
    Part masked;
    std::copy_n(tables.data() + first, count, masked.data());
    for (unsigned i = 0; i < b; ++i) {
      Part flips{};
      get_planes_at(corrections.data() + i * plane + first / 8, 0, 0, 1, {flips.data(), count});
      mask_with_pads(mine, i * n + first, flips, kSelect[i], {masked.data(), count});
    }
    for (std::size_t j = 0; j < count; ++j) {
      shares[first + j] = masked[j] & 1U;
      masked[j] ^= 0 - (masked[j] & 1U);
    }
    put_planes_at({masked.data(), count}, 1, 1U << b, out + first / 8, plane);
  });
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
  const std::size_t plane = plane_bytes(n);
  const ByteView message = co_await party.wire.receive(((1U << b) - 1) * plane);
  Words bits(n);
  for_each_part(n, [&](std::size_t first, std::size_t count) {
    Part masked{};
    get_planes_at(message.data() + first / 8, plane, 1, 1U << b, {masked.data(), count});
    for (std::size_t j = 0; j < count; ++j)
      bits[first + j] = ((masked[j] ^ pads[first + j]) >> (choices[first + j] & low_bits(b))) & 1U;
  });
  wipe_and_clear(pads);
  co_return bits;
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
  const ByteView corrections = co_await party.wire.receive(plane_bytes(n));
  const SentTransfers mine = party.sender.take(n);
  std::uint8_t* out = appended(party.wire.out(), word_bytes(groups));
  Words flips(n);
  get_planes(corrections, 0, 1, flips);
  Words base(n);
  std::size_t of_group = 0;
  for (const WordGroup& group : groups) {
    const std::size_t plane = plane_bytes(group.count);
    for_each_part(group.count, [&](std::size_t at, std::size_t count) {
      Part words;
      const std::size_t first = of_group + at;
      for (std::size_t j = 0; j < count; ++j) {
        const std::uint32_t zero = mine.zero[first + j];
        const std::uint32_t one = mine.one[first + j];
        const std::uint32_t swap = (zero ^ one) & (0 - flips[first + j]);
        words[j] = (zero ^ swap) + differences[first + j] - (one ^ swap);
        base[first + j] = (zero ^ swap) & low_bits(group.bits);
      }
      put_planes_at({words.data(), count}, 0, group.bits, out + at / 8, plane);
    });
    of_group += group.count;
    out += group.bits * plane;
  }
  co_return base;
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
  const ByteView message = co_await party.wire.receive(word_bytes(groups));
  const std::uint8_t* in = message.data();
  Words values(choices.size());
  std::size_t of_group = 0;
  for (const WordGroup& group : groups) {
    const std::size_t plane = plane_bytes(group.count);
    for_each_part(group.count, [&](std::size_t at, std::size_t count) {
      const std::size_t first = of_group + at;
      const std::span<std::uint32_t> words(values.data() + first, count);
      get_planes_at(in + at / 8, plane, 0, group.bits, words);
      for (std::size_t j = 0; j < count; ++j)
        words[j] = (pads[first + j] + (words[j] & (0 - (choices[first + j] & 1U)))) & low_bits(group.bits);
    });
    of_group += group.count;
    in += group.bits * plane;
  }
  wipe_and_clear(pads);
  co_return values;
}

}  // namespace popcorn::protocols::ot
