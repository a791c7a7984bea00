#include "protocols/shares/shares_client.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "paillier/keys/key_owner.h"
#include "protocols/ot/failed_check.h"
#include "protocols/shares/share_dry_run.h"

namespace popcorn::protocols::shares {

namespace {

ot::Words input_words(const WideVector& input) {
  ot::Words words(input.size());
  for (std::size_t j = 0; j < words.size(); ++j) words[j] = static_cast<std::uint32_t>(input.to_int64(j));
  return words;
}

const ShareFacts& facts_of(const ClientBundle& bundle) {
  if (!bundle.share_facts) {
    throw InputError("bundle.shares", "client bundle: \"shares\" must be present for this engine");
  }
  return *bundle.share_facts;
}

void wipe(ot::Words& words) {
  OPENSSL_cleanse(words.data(), words.size() * sizeof(std::uint32_t));
}

}  // namespace

SharesClient::SharesClient(const ClientParts& parts, WideVector input, ShareRounding rounding)
    : owner_(parts.owner),
      rng_(parts.rng),
      plan_(plan_shares(facts_of(parts.bundle).network, share_options(rounding))),
      schedule_(*parts.bundle.share_facts, rounding, plan_, owner_->public_key().bits()),
      input_(std::move(input)),
      result_limbs_(WideVector::limbs_for_bits(parts.bundle.output_bits + 1)),
      results_(schedule_.layers()),
      base_(rng_) {
  if (input_.size() != plan_.network.nodes.front().size()) {
    throw InputError("bundle.shares", "client bundle: \"shares\" takes another input than \"encoding\"");
  }
  for (const PreparationPlan::Source& source : schedule_.preparation().sources) {
    ot::Words& words = shares_.emplace_back(source.values);
    rng_.fill({reinterpret_cast<std::uint8_t*>(words.data()), words.size() * sizeof(std::uint32_t)});
    for (std::uint32_t& word : words) word &= ot::low_bits(source.ring);
  }
}

SharesClient::~SharesClient() {
  for (ot::Words& words : shares_) wipe(words);
  for (MaskedResult& result : results_) wipe(result.words);
  OPENSSL_cleanse(&offered_, sizeof offered_);
  OPENSSL_cleanse(&chosen_, sizeof chosen_);
}

void SharesClient::message(std::uint64_t round, Bytes& out) {
  if (round == 0) {
    base_.request(out);
  } else if (schedule_.has_layer(round)) {
    const std::size_t layer = schedule_.layer(round);
    const PreparationPlan::Layer& facts = schedule_.preparation().layers[layer];
    encrypt_shares(schedule_.layout(layer), *owner_, shares_[facts.source], out);
    if (round == 1) chosen_ = reverse_->reply(nonce_, rng_, out);
  } else {
    if (!half_) begin_online();
    const Bytes flight = advance_or_fail(*half_, std::exchange(flight_, {}));
    out.insert(out.end(), flight.begin(), flight.end());
  }
}

WideVector SharesClient::decrypt(std::uint64_t /*round*/, ByteView ciphertexts) const {
  return owner_->decrypt_residues(ciphertexts, ciphertexts.size() / owner_->public_key().ciphertext_bytes());
}

void SharesClient::take_set_up(ByteView section) {
  nonce_.assign(section.begin(), section.begin() + SharesSchedule::kNonceBytes);
  const ByteView rest = section.subspan(SharesSchedule::kNonceBytes);
  reverse_.emplace(rest.subspan(ot::kBaseReplyBytes));
  offered_ = base_.finish(nonce_, rest.first(ot::kBaseReplyBytes));
}

void SharesClient::take(std::uint64_t round, WideVector plaintexts, ByteView section) {
  if (round == 0) return take_set_up(section);
  if (schedule_.has_layer(round)) {
    const std::size_t layer = schedule_.layer(round);
    try {
      results_[layer] = open_residues(schedule_.layout(layer), plaintexts);
    } catch (const InputError& error) {  // this preparation is over
      throw ot::FailedCheck(error.code(), error.what());
    }
    const auto words = plaintexts.words();
    OPENSSL_cleanse(words.data(), words.size_bytes());
    return;
  }
  flight_.assign(section.begin(), section.end());
  if (round + 1 == schedule_.rounds()) take_answer();
}

ot::Words SharesClient::chosen(std::size_t node) const {
  const auto& sources = schedule_.preparation().sources;
  const auto source = std::ranges::find(sources, node, &PreparationPlan::Source::node);
  return shares_.at(static_cast<std::size_t>(source - sources.begin()));
}

void SharesClient::begin_online() {
  transfers_ =
      std::make_unique<TransferHalves>(transfer_source(plan_), chosen_, offered_, nonce_, false, rng_);
  const auto prepared = [this](std::size_t node) {
    const auto& layers = schedule_.preparation().layers;
    const auto layer = std::ranges::find(layers, node, &PreparationPlan::Layer::node);
    return std::exchange(results_.at(static_cast<std::size_t>(layer - layers.begin())), {});
  };
  part_.emplace(ClientPart{input_words(input_), [this](std::size_t node) { return chosen(node); }, prepared,
                           observer_});
  half_.emplace(transfers_->wire(), online_of_client(transfers_->party(), plan_, *part_, answer_));
}

void SharesClient::take_answer() {
  advance_or_fail(*half_, flight_);
  if (!half_->finished())
    throw ot::FailedCheck("ot.flight_size", "the inference did not end with its last round");
  result_ = WideVector(answer_.logits.size(), result_limbs_);
  for (std::size_t i = 0; i < answer_.logits.size(); ++i) result_.set_int64(i, answer_.logits[i]);
}

}  // namespace popcorn::protocols::shares
