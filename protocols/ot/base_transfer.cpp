#include "protocols/ot/base_transfer.h"

#include <openssl/crypto.h>

#include <cstring>

#include "base/error.h"
#include "protocols/costs.h"
#include "protocols/draws.h"
#include "protocols/slots.h"
#include "protocols/steps.h"
#include "protocols/wide_math.h"

namespace popcorn::protocols::ot {

namespace {

constexpr unsigned kMaskBits = kSecurityBits + kStatisticalSecurity;
constexpr unsigned kOffsetBit = kMaskBits + 1;  // above seed + mask
constexpr unsigned kSlotBits = kOffsetBit + 2;
constexpr std::size_t kOpenedBytes = (kMaskBits + 1 + 7) / 8;  // seed + mask < 2^(kMaskBits + 1)
constexpr std::size_t kLimbs = 3;

SlotLayout layout(unsigned key_bits) {
  return slot_layout(kSlotBits, kOffsetBit, key_bits);
}

}  // namespace

BaseTransferSizes base_transfer_sizes(unsigned key_bits) {
  BaseTransferSizes sizes;
  sizes.request_ciphertexts = 2 * kCodeBits;
  sizes.reply_ciphertexts = layout(key_bits).ciphertexts(kCodeBits);
  sizes.request_bytes = static_cast<std::size_t>(sizes.request_ciphertexts) * (key_bits / 4);
  sizes.reply_bytes = static_cast<std::size_t>(sizes.reply_ciphertexts) * (key_bits / 4);
  sizes.open_bytes = kCodeBits * kOpenedBytes;
  return sizes;
}

std::uint64_t base_request_cost() {
  return paillier::parse_cost(2 * kCodeBits);
}

std::uint64_t base_reply_cost(unsigned key_bits) {
  return seal_cost(kCodeBits, layout(key_bits), key_bits);
}

void BaseOwner::request(const paillier::KeyOwner& owner, Bytes& out) const {
  WideVector values(2 * kCodeBits, kLimbs);
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    for (std::size_t side = 0; side < 2; ++side) {
      const Block& seed = seeds_.pairs[i][side];
      values[side * kCodeBits + i][0] = seed.low;
      values[side * kCodeBits + i][1] = seed.high;
    }
  }
  owner.encrypt(values, out);
  OPENSSL_cleanse(values.words().data(), values.words().size_bytes());
}

Bytes BaseOwner::open(const paillier::KeyOwner& owner, ByteView reply) const {
  const WideVector opened = open_slots(owner, reply, layout(owner.public_key().bits()), kCodeBits);
  Bytes out;
  out.reserve(kCodeBits * kOpenedBytes);
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    if (opened.is_negative(i) || opened.bit_length(i) > kMaskBits + 1) {
      throw InputError("message.plaintext", "a masked seed of the base transfers is out of range");
    }
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(opened[i].data());
    out.insert(out.end(), bytes, bytes + kOpenedBytes);
  }
  return out;
}

BaseChooser::BaseChooser(const paillier::Evaluator& evaluator, ByteView request)
    : seeds_(evaluator.parse(request, 2 * kCodeBits)) {}

void BaseChooser::reply(const paillier::Evaluator& evaluator, Rng& rng, Bytes& out) {
  choices_ = draw_bits(rng, kCodeBits);
  masks_ = draw_integers(rng, kCodeBits, kMaskBits).resized(kLimbs + 1);
  const paillier::CiphertextBatch chosen =
      evaluator.select(seeds_.slice(0, kCodeBits), seeds_.slice(kCodeBits, kCodeBits), choices_);
  WideVector addends = masks_;
  add_power_of_two(addends, kOffsetBit);
  seal_slots(evaluator, chosen, layout(evaluator.key().bits()), addends, out);
  seeds_ = {};
}

SenderSeeds BaseChooser::finish(ByteView open) const {
  SenderSeeds seeds;
  for (std::size_t i = 0; i < kCodeBits; ++i) {
    std::array<std::uint64_t, kLimbs> value{};
    std::memcpy(value.data(), open.data() + i * kOpenedBytes, kOpenedBytes);
    std::uint64_t borrow = 0;
    for (std::size_t k = 0; k < kLimbs; ++k) {
      const std::uint64_t mask = masks_[i][k];
      const std::uint64_t difference = value[k] - mask - borrow;
      borrow = static_cast<std::uint64_t>(value[k] < mask) |
               (static_cast<std::uint64_t>(value[k] == mask) & borrow);
      value[k] = difference;
    }
    if (borrow != 0 || value[2] != 0) {
      throw InputError("ot.opening", "an opened value of the base transfers is out of range");
    }
    seeds.chosen[i] = {value[0], value[1]};
    seeds.choices[i] = choices_[i];
  }
  return seeds;
}

void BaseChooser::save(StateWriter& out) const {
  out.bytes(choices_);
  out.integers(masks_.resized(WideVector::limbs_for_bits(kMaskBits + 1)));
}

BaseChooser BaseChooser::restore(StateReader& in) {
  BaseChooser chooser;
  chooser.choices_ = in.small_values(kCodeBits, 1);
  chooser.masks_ = in.integers(kCodeBits, kMaskBits).resized(kLimbs + 1);
  return chooser;
}

}  // namespace popcorn::protocols::ot
