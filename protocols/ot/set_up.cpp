#include "protocols/ot/set_up.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/error.h"

namespace popcorn::protocols::ot {

namespace {

/// 1 were seeds of base transfers on Paillier, which a client could read the choices of; 2 those of another
/// extension: forgotten.
constexpr std::uint8_t kStateVersion = 3;
/// So that a party's state is never taken for the other's.
template <typename Seeds>
constexpr std::uint8_t kSide = std::is_same_v<Seeds, ChosenSeeds> ? 1 : 2;

template <typename Seeds>
std::shared_ptr<const KeptSeeds<Seeds>> parse(ByteView bytes) {
  if (bytes.size() != KeptSeeds<Seeds>::kBytes || bytes[0] != kStateVersion || bytes[1] != kSide<Seeds>) {
    throw InputError("sign_test.state", "this is not the kept set-up of an oblivious sign test");
  }
  SetUpNonce id;
  Seeds seeds;
  std::ranges::copy(bytes.subspan(2, kSetUpNonceBytes), id.begin());
  std::memcpy(&seeds, bytes.data() + 2 + kSetUpNonceBytes, sizeof seeds);
  auto kept = std::make_shared<const KeptSeeds<Seeds>>(id, seeds);
  OPENSSL_cleanse(&seeds, sizeof seeds);
  return kept;
}

}  // namespace

template <typename Seeds>
KeptSeeds<Seeds>::~KeptSeeds() {
  OPENSSL_cleanse(&seeds_, sizeof seeds_);
}

template <typename Seeds>
void KeptSeeds<Seeds>::serialise(Bytes& out) const {
  out.reserve(out.size() + kBytes);
  ByteWriter writer(out);
  writer.u8(kStateVersion);
  writer.u8(kSide<Seeds>);
  writer.bytes(id_);
  writer.bytes({reinterpret_cast<const std::uint8_t*>(&seeds_), sizeof seeds_});
}

template class KeptSeeds<ChosenSeeds>;
template class KeptSeeds<OfferedSeeds>;

std::shared_ptr<const KeptSenderSeeds> server_set_up(ByteView bytes) {
  auto kept = parse<ChosenSeeds>(bytes);
  const auto is_no_bit = [](std::uint8_t choice) { return choice > 1; };
  const auto& choices = kept->seeds().choices;
  if (choices[0] != 0 || std::ranges::any_of(choices, is_no_bit)) {
    throw InputError("sign_test.state", "a kept set-up has choices other than 0 and 1, or a first one of 1");
  }
  return kept;
}

std::shared_ptr<const KeptReceiverSeeds> client_set_up(ByteView bytes) {
  return parse<OfferedSeeds>(bytes);
}

template <typename Kept>
std::shared_ptr<const Kept> as_kept(std::shared_ptr<const KeptSetUp> set_up) {
  auto kept = std::dynamic_pointer_cast<const Kept>(set_up);
  if (set_up != nullptr && kept == nullptr)
    throw Error("sign_test.state", "the set-up of another party was given");
  return kept;
}

template std::shared_ptr<const KeptSenderSeeds> as_kept(std::shared_ptr<const KeptSetUp>);
template std::shared_ptr<const KeptReceiverSeeds> as_kept(std::shared_ptr<const KeptSetUp>);

}  // namespace popcorn::protocols::ot
