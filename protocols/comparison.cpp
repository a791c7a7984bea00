#include "protocols/comparison.h"

#include "protocols/draws.h"

namespace popcorn::protocols {

namespace {

constexpr std::uint8_t kLess = 1;
constexpr std::uint8_t kEqual = 2;

std::vector<std::uint8_t> digits_of(const ComparisonShape& shape, const WideVector& values) {
  const unsigned digits = shape.digits();
  std::vector<std::uint8_t> result(static_cast<std::size_t>(shape.count) * digits);
  for (std::size_t j = 0; j < shape.count; ++j) {
    const auto words = values[j];
    for (unsigned d = 0; d < digits; ++d) {
      const unsigned position = 4 * d;
      const std::uint64_t sign = 0 - (words.back() >> 63);
      const std::uint64_t word = position / 64 < words.size() ? words[position / 64] : sign;
      unsigned digit = static_cast<unsigned>(word >> (position % 64)) & 15U;
      if (position + 4 > shape.bits) digit &= (1U << (shape.bits - position)) - 1;
      result[j * digits + d] = static_cast<std::uint8_t>(digit);
    }
  }
  return result;
}

/// Bits of (equal_high, less_low, equal_low) as a choice.
unsigned node_choice(std::uint8_t low, std::uint8_t high) {
  return (static_cast<unsigned>(high >> 1) & 1U) | ((low & 1U) << 1) |
         ((static_cast<unsigned>(low >> 1) & 1U) << 2);
}

std::vector<std::uint8_t> less_of(const ComparisonShares& shares) {
  std::vector<std::uint8_t> less;
  less.reserve(shares.values.size());
  for (const std::uint8_t share : shares.values) less.push_back(share & kLess);
  return less;
}

/// Shares of the next level: pairs become one (its transferred bits are in `results`, one a pair), an odd
/// digit out on top stays.
ComparisonShares next_level(const ComparisonShares& shares, std::size_t count,
                            std::span<const std::uint8_t> results) {
  const std::size_t pairs = shares.width / 2;
  ComparisonShares next;
  next.width = (shares.width + 1) / 2;
  next.values.resize(count * next.width);
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint8_t* const from = shares.values.data() + j * shares.width;
    std::uint8_t* const to = next.values.data() + j * next.width;
    for (std::size_t i = 0; i < pairs; ++i) {
      // less = less_high ⊕ (equal_high ∧ less_low); equal = equal_high ∧ equal_low
      to[i] = static_cast<std::uint8_t>(results[j * pairs + i] ^ (from[2 * i + 1] & kLess));
    }
    if (shares.width % 2 == 1) to[pairs] = from[shares.width - 1];
  }
  return next;
}

/// Digits before batch 0, shares before any other.
void restore_values(const ComparisonShape& shape, unsigned batch, StateReader& in,
                    std::vector<std::uint8_t>& digits, ComparisonShares& shares) {
  const auto count = static_cast<std::size_t>(shape.count);
  if (batch == 0) {
    digits = in.small_values(count * shape.digits(), 15);
    return;
  }
  shares.width = shape.width(batch);
  shares.values = in.small_values(count * shares.width, kLess | kEqual);
}

}  // namespace

unsigned ComparisonShape::batches() const noexcept {
  unsigned batches_needed = 1;
  for (unsigned width = digits(); width > 1; width = (width + 1) / 2) ++batches_needed;
  return batches_needed;
}

std::size_t ComparisonShape::transfers(unsigned batch) const noexcept {
  return static_cast<std::size_t>(count) * (batch == 0 ? digits() : width(batch) / 2);
}

unsigned ComparisonShape::width(unsigned batch) const noexcept {
  unsigned shares = digits();
  for (unsigned level = 1; level < batch; ++level) shares = (shares + 1) / 2;
  return shares;
}

std::size_t ComparisonShape::request_bytes(unsigned batch) const noexcept {
  return ot::correction_bytes(transfers(batch));
}

std::size_t ComparisonShape::answer_bytes(unsigned batch) const noexcept {
  return ot::transfer_bytes(transfers(batch), choices(batch));
}

ComparisonReceiver::ComparisonReceiver(const ComparisonShape& shape, const WideVector& values)
    : shape_(shape), digits_(digits_of(shape, values)) {}

void ComparisonReceiver::request(unsigned batch, ot::ExtensionReceiver& extension, Bytes& out) {
  if (batch == 0) {
    extension.request(digits_, out);
    return;
  }
  const std::size_t pairs = shares_.width / 2;
  std::vector<std::uint8_t> choices(shape_.transfers(batch));
  for (std::size_t j = 0; j < shape_.count; ++j) {
    const std::uint8_t* const from = shares_.values.data() + j * shares_.width;
    for (std::size_t i = 0; i < pairs; ++i) {
      choices[j * pairs + i] = static_cast<std::uint8_t>(node_choice(from[2 * i], from[2 * i + 1]));
    }
  }
  extension.request(choices, out);
}

void ComparisonReceiver::receive(unsigned batch, ot::ExtensionReceiver& extension, ByteView section) {
  std::vector<std::uint8_t> messages(shape_.transfers(batch));
  extension.receive(section, shape_.choices(batch), messages);
  if (batch == 0) {
    shares_ = {shape_.digits(), std::move(messages)};
  } else {
    shares_ = next_level(shares_, static_cast<std::size_t>(shape_.count), messages);
  }
}

std::vector<std::uint8_t> ComparisonReceiver::less() const {
  return less_of(shares_);
}

void ComparisonReceiver::save(unsigned batch, StateWriter& out) const {
  out.bytes(batch == 0 ? digits_ : shares_.values);
}

ComparisonReceiver ComparisonReceiver::restore(const ComparisonShape& shape, unsigned batch,
                                               StateReader& in) {
  ComparisonReceiver receiver(shape);
  restore_values(shape, batch, in, receiver.digits_, receiver.shares_);
  return receiver;
}

ComparisonSender::ComparisonSender(const ComparisonShape& shape, const WideVector& values)
    : shape_(shape), digits_(digits_of(shape, values)) {}

void ComparisonSender::answer(unsigned batch, ot::ExtensionSender& extension, Rng& rng, Bytes& out) {
  const std::size_t transfers = shape_.transfers(batch);
  const unsigned choices = shape_.choices(batch);
  std::vector<std::uint8_t> masks(transfers);
  rng.fill(masks);
  for (std::uint8_t& mask : masks) mask &= kLess | kEqual;
  std::vector<std::uint8_t> messages(transfers * choices);
  if (batch == 0) {
    for (std::size_t t = 0; t < transfers; ++t) {
      const unsigned y = digits_[t];
      for (unsigned x = 0; x < choices; ++x) {
        const unsigned less = (x - y) >> 31;  // borrow of x − y
        const unsigned equal = ((x ^ y) - 1U) >> 31;
        messages[t * choices + x] = static_cast<std::uint8_t>((less | (equal << 1)) ^ masks[t]);
      }
    }
    shares_ = {shape_.digits(), std::move(masks)};
  } else {
    const std::size_t pairs = shares_.width / 2;
    for (std::size_t t = 0; t < transfers; ++t) {
      const std::uint8_t* const from = shares_.values.data() + t / pairs * shares_.width + 2 * (t % pairs);
      const unsigned own = node_choice(from[0], from[1]);
      for (unsigned other = 0; other < choices; ++other) {
        const unsigned joint = own ^ other;
        const unsigned equal_high = joint & 1U;
        const unsigned results = (equal_high & (joint >> 1)) | ((equal_high & (joint >> 2)) << 1);
        messages[t * choices + other] = static_cast<std::uint8_t>((results & 3U) ^ masks[t]);
      }
    }
    shares_ = next_level(shares_, static_cast<std::size_t>(shape_.count), masks);
  }
  extension.send(messages, choices, out);
}

std::vector<std::uint8_t> ComparisonSender::less() const {
  return less_of(shares_);
}

void ComparisonSender::save(unsigned batch, StateWriter& out) const {
  out.bytes(batch == 0 ? digits_ : shares_.values);
}

ComparisonSender ComparisonSender::restore(const ComparisonShape& shape, unsigned batch, StateReader& in) {
  ComparisonSender sender(shape);
  restore_values(shape, batch, in, sender.digits_, sender.shares_);
  return sender;
}

}  // namespace popcorn::protocols
