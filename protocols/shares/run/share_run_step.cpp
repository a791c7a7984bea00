#include "protocols/shares/run/share_run_step.h"

#include <algorithm>

namespace popcorn::protocols::shares {

namespace {

/// Of every channel's plane of `size` values, those at `places`.
Words gather(const Words& from, std::size_t size, const Places& places) {
  const std::size_t channels = size == 0 ? 0 : from.size() / size;
  Words to(channels * places.size());
  for (std::size_t c = 0; c < channels; ++c) {
    const std::uint32_t* const plane = from.data() + c * size;
    std::uint32_t* const out = to.data() + c * places.size();
    for (std::size_t i = 0; i < places.size(); ++i) out[i] = plane[places[i]];
  }
  return to;
}

/// Planes of `first` and `second` values, one behind the other.
Words interleave(const Words& first, const Words& second, std::size_t channels) {
  Words result;
  result.reserve(first.size() + second.size());
  const std::size_t a = first.size() / channels, b = second.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    result.insert(result.end(), first.begin() + static_cast<std::ptrdiff_t>(c * a),
                  first.begin() + static_cast<std::ptrdiff_t>((c + 1) * a));
    result.insert(result.end(), second.begin() + static_cast<std::ptrdiff_t>(c * b),
                  second.begin() + static_cast<std::ptrdiff_t>((c + 1) * b));
  }
  return result;
}

Dialogue<Words> run_maxima(TransferParty& party, const InteractiveStep& step, const StepChunk& chunk,
                           Words words) {
  std::size_t size = step.plane;
  for (const MaximumRound& round : step.maxima.rounds) {
    const Words left = gather(words, size, round.left);
    const Words right = gather(words, size, round.right);
    const Words kept = gather(words, size, round.kept);
    const ot::ValueShape shape{groups_of(step, chunk, round.left.size()), step.digit_bits};
    const Words largest = co_await ot::maximum(party, shape, left, right);
    words = interleave(largest, kept, chunk.channels.size());
    size = round.result_size();
  }
  co_return gather(words, size, step.maxima.order);
}

/// Disjunctions are conjunctions of complements.
Dialogue<Words> run_disjunctions(TransferParty& party, const InteractiveStep& step, Words bits) {
  const std::uint32_t flip = party.first ? 1 : 0;
  std::size_t size = step.plane;
  for (const DisjunctionRound& round : step.disjunctions.rounds) {
    const Words members = gather(bits, size, round.members);
    Words inputs(members.size() / round.inputs);
    for (std::size_t j = 0; j < inputs.size(); ++j) {
      for (unsigned k = 0; k < round.inputs; ++k)
        inputs[j] |= ((members[j * round.inputs + k] ^ flip) & 1U) << k;
    }
    bits = co_await ot::conjunction(party, round.inputs, inputs);
    for (std::uint32_t& bit : bits) bit ^= flip;
    size = round.members.size() / round.inputs;
  }
  co_return gather(bits, size, step.disjunctions.order);
}

Dialogue<Words> run_sign(TransferParty& party, const ShareStep& step, const StepChunk& chunk,
                         const Words& words, const Words& lowest) {
  const InteractiveStep& pieces = step.interactive;
  const ot::SignShape shape{chunk.channels.size() * pieces.plane, pieces.ring, pieces.neighbour,
                            pieces.digit_bits};
  Words bits = co_await ot::sign(party, shape, words, &lowest);
  if (pieces.pools) bits = co_await run_disjunctions(party, pieces, std::move(bits));
  Words result = co_await ot::bit_to_word(party, bits, step.ring - 1);
  const std::uint32_t one = party.first ? 1 : 0;
  for (std::uint32_t& word : result) word = (2 * word - one) & ot::low_bits(step.ring);
  co_return result;
}

}  // namespace

ot::WordGroups groups_of(const InteractiveStep& step, const StepChunk& chunk, std::size_t plane) {
  ot::WordGroups groups = chunk.shape.kept();
  for (ot::WordGroup& group : groups) group.count = group.count / step.plane * plane;
  return groups;
}

Dialogue<Words> run_chunk(TransferParty& party, const ShareStep& step, const StepChunk& chunk,
                          const Words& words, const Words& lowest) {
  const InteractiveStep& pieces = step.interactive;
  if (pieces.sign) {
    Words signs = co_await run_sign(party, step, chunk, words, lowest);
    co_return signs;
  }
  const bool rectify_behind = pieces.rectifies && pieces.pool_first;
  Words result;
  if (pieces.rectifies && !rectify_behind) {
    result = co_await ot::truncate_and_rectify(party, chunk.shape, words, &lowest);
  } else {
    result = co_await ot::truncate(party, chunk.shape, words, &lowest);
  }
  if (pieces.pools) result = co_await run_maxima(party, pieces, chunk, std::move(result));
  const ot::ValueShape values{groups_of(pieces, chunk, pieces.result_plane), pieces.digit_bits};
  if (rectify_behind) result = co_await ot::rectify(party, values, result);
  result = co_await ot::extend(party, values.groups, step.ring, result, pieces.is_signed);
  co_return result;
}

Meetings meetings_of(const ArgMaxRound& round) {
  Meetings meetings;
  meetings.wins.resize(round.count * (round.group - 1));
  for (std::size_t first = 0; first < round.count; first += round.group) {
    const std::size_t end = std::min(round.count, first + round.group);
    std::vector<Places> wins(end - first);
    for (std::size_t i = first; i < end; ++i) {
      for (std::size_t j = i + 1; j < end; ++j) {
        const auto pair = static_cast<std::uint32_t>(meetings.pairs.size());
        meetings.pairs.emplace_back(i, j);
        wins[i - first].push_back(2 * pair);
        wins[j - first].push_back(2 * pair + 1);
      }
    }
    for (std::size_t i = first; i < end; ++i) {
      const Places& won = wins[i - first];
      for (std::size_t k = 0; k + 1 < round.group; ++k)
        meetings.wins[i * (round.group - 1) + k] =
            won.empty() ? UINT32_MAX : won[std::min(k, won.size() - 1)];
    }
  }
  return meetings;
}

namespace {

/// This party's share of whether each value wins all its meetings, as the inputs of a conjunction.
Words winning_bits(const TransferParty& party, const ArgMaxRound& round, const Meetings& meetings,
                   const Words& bits) {
  const std::uint32_t one = party.first ? 1 : 0;
  const unsigned inputs = round.group - 1;
  Words result(round.count);
  for (std::size_t i = 0; i < round.count; ++i) {
    for (unsigned k = 0; k < inputs; ++k) {
      const std::uint32_t win = meetings.wins[i * inputs + k];
      const std::uint32_t bit = win == UINT32_MAX ? one : bits[win / 2] ^ (win % 2 == 1 ? one : 0);
      result[i] |= (bit & 1U) << k;
    }
  }
  return result;
}

Dialogue<Words> run_round(TransferParty& party, const InteractiveStep& step, const ArgMaxRound& round,
                          const Words& keys) {
  const Meetings meetings = meetings_of(round);
  Words differences;
  for (const auto& [i, j] : meetings.pairs)
    differences.push_back((keys[i] - keys[j]) & ot::low_bits(step.ring));
  const ot::SignShape shape{meetings.pairs.size(), step.ring, false, step.digit_bits};
  const Words bits = co_await ot::sign(party, shape, differences);
  Words winners = winning_bits(party, round, meetings, bits);
  if (round.group > 2) winners = co_await ot::conjunction(party, round.group - 1, winners);
  const ot::WordGroups groups = {{round.count, step.ring}};
  const Words chosen = co_await ot::multiplex(party, groups, winners, keys);
  Words largest(round.groups());
  for (std::size_t i = 0; i < chosen.size(); ++i) largest[i / round.group] += chosen[i];
  for (std::uint32_t& word : largest) word &= ot::low_bits(step.ring);
  co_return largest;
}

}  // namespace

Dialogue<Words> run_arg_max(TransferParty& party, const ShareStep& step, const Words& logits) {
  const unsigned bits = key_bits(logits.size());
  Words keys(logits.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto last = static_cast<std::uint32_t>((std::size_t{1} << bits) - 1 - i);
    keys[i] = ((logits[i] << bits) + (party.first ? last : 0)) & ot::low_bits(step.interactive.ring);
  }
  for (const ArgMaxRound& round : step.arg_max)
    keys = co_await run_round(party, step.interactive, round, keys);
  co_return keys;
}

}  // namespace popcorn::protocols::shares
