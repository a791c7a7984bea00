#include "protocols/shares/kept_preparation.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"

namespace popcorn::protocols::shares {

namespace {

template <typename Seeds>
void save_seeds(const ot::SetUpNonce& nonce, const Seeds& seeds, StateWriter& out) {
  Bytes kept;
  ot::KeptSeeds<Seeds>(nonce, seeds).serialise(kept);
  out.bytes(kept);
  OPENSSL_cleanse(kept.data(), kept.size());
}

}  // namespace

PreparedSeeds::~PreparedSeeds() {
  OPENSSL_cleanse(&chosen, sizeof chosen);
  OPENSSL_cleanse(&offered, sizeof offered);
}

void PreparedSeeds::save(StateWriter& out) const {
  save_seeds(nonce, chosen, out);
  save_seeds(nonce, offered, out);
}

void PreparedSeeds::restore(StateReader& in) {
  try {
    const auto kept_chosen = ot::server_set_up(in.bytes(ot::KeptSenderSeeds::kBytes));
    const auto kept_offered = ot::client_set_up(in.bytes(ot::KeptReceiverSeeds::kBytes));
    std::ranges::copy(kept_chosen->id(), nonce.begin());
    chosen = kept_chosen->seeds();
    offered = kept_offered->seeds();
  } catch (const InputError& error) {
    StateReader::reject(error.what());
  }
}

//   the pads of the direction in which this party has both: zeros, ones; then of the other: pads, choices
void PreparedTransfers::save(StateWriter& out) const {
  out.places(sent.zero);
  out.places(sent.one);
  out.places(received.pads);
  out.bytes(received.bits);
}

void PreparedTransfers::restore(const TransferNeed& need, bool is_server, StateReader& in) {
  const std::uint64_t sends = is_server ? need.from_server : need.from_client;
  const std::uint64_t receives = is_server ? need.from_client : need.from_server;
  sent.zero.resize(sends);
  sent.one.resize(sends);
  received.pads.resize(receives);
  in.places(sent.zero);
  in.places(sent.one);
  in.places(received.pads);
  received.bits.resize(receives);
  std::ranges::copy(in.bytes(receives), received.bits.begin());
  if (std::ranges::any_of(received.bits, [](std::uint8_t bit) { return bit > 1; }))
    StateReader::reject("a choice is not a bit");
}

ot::Words restore_words(std::size_t count, unsigned bits, StateReader& in) {
  ot::Words words(count);
  in.places(words);
  for (const std::uint32_t word : words)
    if ((word & ~ot::low_bits(bits)) != 0) StateReader::reject("a share is out of range");
  return words;
}

void save_results(const std::vector<MaskedResult>& results, StateWriter& out) {
  for (const MaskedResult& result : results) {
    out.u8(result.words.empty() ? 0 : 1);
    out.places(result.words);
    for (const std::uint32_t bit : result.lowest) out.u8(static_cast<std::uint8_t>(bit));
  }
}

std::vector<MaskedResult> restore_results(const SharesSchedule& schedule, StateReader& in) {
  std::vector<MaskedResult> results(schedule.layers());
  for (std::size_t layer = 0; layer < results.size(); ++layer) {
    if (!in.flag()) continue;
    const WeightedLayer& facts = schedule.layout(layer).layer();
    const auto outputs = static_cast<std::size_t>(facts.output.size());
    results[layer].words = restore_words(outputs, facts.ring, in);
    for (const std::uint8_t bit : in.small_values(outputs, 1)) results[layer].lowest.push_back(bit);
  }
  return results;
}

}  // namespace popcorn::protocols::shares
