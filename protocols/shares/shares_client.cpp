#include "protocols/shares/shares_client.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/secret_bytes.h"
#include "paillier/keys/key_owner.h"
#include "protocols/ot/failed_check.h"
#include "protocols/shares/layer/packed_layer_secrets.h"
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
  check_facts(parts.bundle);
  for (const PreparationPlan::Source& source : schedule_.preparation().sources) {
    ot::Words& words = shares_.emplace_back(source.values);
    rng_.fill({reinterpret_cast<std::uint8_t*>(words.data()), words.size() * sizeof(std::uint32_t)});
    for (std::uint32_t& word : words) word &= ot::low_bits(source.ring);
  }
}

/// The facts must be of the network that the rest of the bundle describes.
void SharesClient::check_facts(const ClientBundle& bundle) const {
  if (static_cast<std::size_t>(bundle.encoding.shape.size()) != plan_.network.nodes.front().size()) {
    throw InputError("bundle.shares", "client bundle: \"shares\" takes another input than \"encoding\"");
  }
  const bool is_label = bundle.answer == models::Answer::label;
  const std::uint64_t outputs = is_label ? 1 : plan_.network.nodes.back().size();
  if (plan_.network.label != is_label || outputs != bundle.output_count) {
    throw InputError("bundle.shares", "client bundle: \"shares\" gives another output than \"answer\"");
  }
}

SharesClient::~SharesClient() {
  for (ot::Words& words : shares_) wipe_and_clear(words);
  for (MaskedResult& result : results_) wipe_and_clear(result.words);
}

void SharesClient::message(std::uint64_t round, Bytes& out) {
  if (round == 0) {
    base_.request(out);
  } else if (schedule_.prepares(round)) {
    const SharesSchedule::Layers& layers = schedule_.prepared(round);
    for (std::size_t layer = layers.first; layer < layers.end; ++layer) {
      const PreparationPlan::Layer& facts = schedule_.preparation().layers[layer];
      encrypt_shares(schedule_.layout(layer), *owner_, shares_[facts.source], out);
    }
    if (round == 1) seeds_.chosen = reverse_->reply(seeds_.nonce, rng_, out);
  } else {
    if (!half_) {
      if (schedule_.makes_transfers(round)) {
        begin_transfers();
      } else {
        begin_online();
      }
    }
    const Bytes flight = advance_or_fail(*half_, std::exchange(flight_, {}));
    const std::uint64_t due = schedule_.client_message(round).sign_test_bytes;
    if (flight.size() != due) {
      throw InputError("bundle.shares", "client bundle: \"shares\": a flight has " +
                                            std::to_string(flight.size()) + " bytes, not " +
                                            std::to_string(due) + " as it says");
    }
    out.insert(out.end(), flight.begin(), flight.end());
  }
}

WideVector SharesClient::decrypt(std::uint64_t /*round*/, ByteView ciphertexts) const {
  return owner_->decrypt_residues(ciphertexts, ciphertexts.size() / owner_->public_key().ciphertext_bytes());
}

void SharesClient::take_set_up(ByteView section) {
  std::ranges::copy(section.first(SharesSchedule::kNonceBytes), seeds_.nonce.begin());
  const ByteView rest = section.subspan(SharesSchedule::kNonceBytes);
  reverse_.emplace(rest.subspan(ot::kBaseReplyBytes));
  seeds_.offered = base_.finish(seeds_.nonce, rest.first(ot::kBaseReplyBytes));
}

void SharesClient::take(std::uint64_t round, WideVector plaintexts, ByteView section) {
  if (round == 0) return take_set_up(section);
  if (schedule_.prepares(round)) return take_preparation(round, std::move(plaintexts));
  flight_.assign(section.begin(), section.end());
  if (schedule_.makes_transfers(round) && round + 1 == schedule_.first_flight()) keep_transfers();
  if (round + 1 == schedule_.rounds()) take_answer();
}

void SharesClient::take_preparation(std::uint64_t round, WideVector plaintexts) {
  const WipedAtEnd all_wiped(plaintexts);
  const SharesSchedule::Layers& layers = schedule_.prepared(round);
  std::size_t first = 0;
  for (std::size_t layer = layers.first; layer < layers.end; ++layer) {
    const PackedLayout& layout = schedule_.layout(layer);
    WideVector residues(layout.outputs(), plaintexts.limbs());
    const WipedAtEnd wiped(residues);
    std::ranges::copy(plaintexts.words().subspan(first * plaintexts.limbs(), residues.words().size()),
                      residues.words().begin());
    first += layout.outputs();
    try {
      results_[layer] = open_residues(layout, residues);
    } catch (const InputError& error) {  // this preparation is over
      throw ot::FailedCheck(error.code(), error.what());
    }
  }
}

ot::Words SharesClient::chosen(std::size_t node) const {
  const auto& sources = schedule_.preparation().sources;
  const auto source = std::ranges::find(sources, node, &PreparationPlan::Source::node);
  return shares_.at(static_cast<std::size_t>(source - sources.begin()));
}

void SharesClient::begin_transfers() {
  transfers_ = std::make_unique<TransferHalves>(transfer_source(plan_), seeds_.chosen, seeds_.offered,
                                                seeds_.nonce, false, rng_);
  half_.emplace(transfers_->wire(), reserve_first(transfers_->party(), plan_));
}

void SharesClient::keep_transfers() {
  if (!half_->finished()) advance_or_fail(*half_, std::exchange(flight_, {}));
  if (!half_->finished())
    throw ot::FailedCheck("ot.flight_size", "the transfers did not end with the last round that makes them");
  const TransferNeed& need = schedule_.transfers();
  prepared_ = {transfers_->release_sent(need.from_client), transfers_->release_received(need.from_server)};
  half_.reset();
  transfers_.reset();
}

void SharesClient::begin_online() {
  if (schedule_.transfers().none()) {
    transfers_ = std::make_unique<TransferHalves>(transfer_source(plan_), seeds_.chosen, seeds_.offered,
                                                  seeds_.nonce, false, rng_);
  } else {
    transfers_ =
        std::make_unique<TransferHalves>(std::move(prepared_.sent), std::move(prepared_.received), false);
  }
  const auto prepared = [this](std::size_t node) {
    const auto& layers = schedule_.preparation().layers;
    const auto layer = std::ranges::find(layers, node, &PreparationPlan::Layer::node);
    return std::exchange(results_.at(static_cast<std::size_t>(layer - layers.begin())), {});
  };
  part_.emplace(ClientPart{input_words(input_), [this](std::size_t node) { return chosen(node); }, prepared,
                           observer_});
  half_.emplace(transfers_->wire(), online_of_client(transfers_->party(), plan_, *part_, answer_));
}

bool SharesClient::can_be_kept(std::uint64_t round) const {
  return round > 0 && round <= schedule_.first_flight() && !half_;
}

//   seeds, or the transfers they have made; the shares chosen; the results of the layers done; u8 has the
//   input, [u64 each of its values]
void SharesClient::save(std::uint64_t round, StateWriter& out) const {
  if (schedule_.has_made_transfers(round)) {
    prepared_.save(out);
  } else {
    seeds_.save(out);
  }
  for (const ot::Words& words : shares_) out.places(words);
  save_results(results_, out);
  out.u8(input_.size() > 0 ? 1 : 0);
  for (std::size_t j = 0; j < input_.size(); ++j) out.u64(static_cast<std::uint64_t>(input_.to_int64(j)));
}

void SharesClient::restore(std::uint64_t round, StateReader& in) {
  if (round > schedule_.first_flight()) StateReader::reject("an online phase is not kept");
  if (round > schedule_.first_transfers() && round < schedule_.first_flight())
    StateReader::reject("transfers that are being made are not kept");
  if (schedule_.has_made_transfers(round)) {
    prepared_.restore(schedule_.transfers(), false, in);
  } else {
    seeds_.restore(in);
  }
  for (std::size_t i = 0; i < shares_.size(); ++i)
    shares_[i] = restore_words(shares_[i].size(), schedule_.preparation().sources[i].ring, in);
  results_ = restore_results(schedule_, in);
  input_ = WideVector();
  if (!in.flag()) return;
  const std::size_t values = plan_.network.nodes.front().size();
  input_ = WideVector(values, 1);
  for (std::size_t j = 0; j < values; ++j) input_.set_int64(j, static_cast<std::int64_t>(in.u64()));
}

void SharesClient::take_answer() {
  advance_or_fail(*half_, flight_);
  if (!half_->finished())
    throw ot::FailedCheck("ot.flight_size", "the inference did not end with its last round");
  if (answer_.label)
    answer_.logits = {2 * static_cast<std::int64_t>(*answer_.label)};  // as models::Answer says
  result_ = WideVector(answer_.logits.size(), result_limbs_);
  for (std::size_t i = 0; i < answer_.logits.size(); ++i) result_.set_int64(i, answer_.logits[i]);
}

}  // namespace popcorn::protocols::shares
