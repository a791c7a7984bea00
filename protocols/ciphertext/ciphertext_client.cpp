#include "protocols/ciphertext/ciphertext_client.h"

#include <utility>

#include "protocols/packing/slots.h"

namespace popcorn::protocols {

CiphertextClient::CiphertextClient(const ClientParts& parts, const SignTest& sign_test, WideVector input)
    : owner_(parts.owner),
      plan_(parts.bundle, sign_test, owner_->public_key().bits(), parts.resumes_set_up),
      set_up_(sign_test.set_up(parts.resumes_set_up)),
      step_(sign_test, *owner_, parts.rng, parts.options.transfer_set_up),
      input_(std::move(input)) {}

void CiphertextClient::message(std::uint64_t round, Bytes& out) {
  if (round > 0) {
    const RoundPlan::Place& place = plan_.place(round);
    step_.answer(place.exchange, out);
    if (place.last) step_.select(kind_of(place), out);
    return;
  }
  owner_->encrypt(input_, out);
  if (plan_.set_up() != ot::SetUp::done) step_.request(out);
}

WideVector CiphertextClient::decrypt(std::uint64_t /*round*/, ByteView ciphertexts) const {
  return owner_->decrypt(ciphertexts, ciphertexts.size() / owner_->public_key().ciphertext_bytes(),
                         packed_limbs(plan_.key_bits()));
}

void CiphertextClient::take(std::uint64_t round, WideVector plaintexts, ByteView section) {
  if (round + 1 == plan_.rounds()) {
    logits_ = open_packed(std::move(plaintexts), logits_layout(plan_.output_bits(), plan_.key_bits()),
                          static_cast<std::size_t>(plan_.outputs()));
    return;
  }
  const RoundPlan::Place& place = plan_.place(round + 1);
  step_.question(kind_of(place), plan_.sign_test_shape(place.step), place.exchange, std::move(plaintexts),
                 section);
}

void CiphertextClient::save(std::uint64_t round, StateWriter& out) const {
  const RoundPlan::Place& place = plan_.place(round);
  step_.save(place.exchange, place.last, out);
}

void CiphertextClient::restore(std::uint64_t round, StateReader& in) {
  const RoundPlan::Place& place = plan_.place(round);
  step_.restore(plan_.sign_test_shape(place.step), place.exchange, place.last, set_up_, in);
}

}  // namespace popcorn::protocols
