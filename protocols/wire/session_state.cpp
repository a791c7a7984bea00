#include "protocols/wire/session_state.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace popcorn::protocols {

void StateWriter::places(std::span<const std::uint32_t> values) {
  static_assert(std::endian::native == std::endian::little);
  writer_.bytes({reinterpret_cast<const std::uint8_t*>(values.data()), 4 * values.size()});
}

void StateWriter::integers(const WideVector& values) {
  for (const std::uint64_t word : values.words()) writer_.u64(word);
}

void StateReader::places(std::span<std::uint32_t> values) {
  if (!values.empty()) std::memcpy(values.data(), bytes(4 * values.size()).data(), 4 * values.size());
}

void StateReader::reject(const std::string& what) {
  throw InputError("session_state.invalid", "the kept state of a session is damaged: " + what);
}

bool StateReader::flag() {
  const std::uint8_t value = u8();
  if (value > 1) reject("a flag is neither 0 nor 1");
  return value == 1;
}

std::vector<std::uint8_t> StateReader::small_values(std::size_t count, std::uint8_t largest) {
  const ByteView view = bytes(count);
  if (std::ranges::any_of(view, [largest](std::uint8_t value) { return value > largest; })) {
    reject("a small value is out of range");
  }
  return {view.begin(), view.end()};
}

std::vector<std::uint32_t> StateReader::permutation(std::size_t count) {
  ByteReader places(bytes(4 * count), "session_state");
  std::vector<std::uint32_t> values(count);
  std::vector<bool> seen(count);
  for (std::uint32_t& value : values) {
    value = places.u32();
    if (value >= count || seen[value]) reject("a permutation is none");
    seen[value] = true;
  }
  return values;
}

WideVector StateReader::integers(std::size_t count, unsigned bits) {
  const std::size_t limbs = WideVector::limbs_for_bits(bits + 1);
  ByteReader words(bytes(8 * limbs * count), "session_state");
  WideVector values(count, limbs);
  for (std::uint64_t& word : values.words()) word = words.u64();
  for (std::size_t i = 0; i < count; ++i) {
    if (values.is_negative(i) || values.bit_length(i) > bits) reject("a mask is out of range");
  }
  return values;
}

paillier::CiphertextBatch StateReader::ciphertexts(std::size_t count) {
  return evaluator_->parse(bytes(count * evaluator_->key().ciphertext_bytes()), count);
}

}  // namespace popcorn::protocols
