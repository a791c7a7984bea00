#include "protocols/ot/sources/base_transfer.h"

#include <openssl/crypto.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/secret.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/sources/transcript.h"
#include "protocols/packing/draws.h"

namespace popcorn::protocols::ot {

namespace {

static_assert(kPointBytes == crypto_core_ristretto255_BYTES);
using Scalar = std::array<std::uint8_t, crypto_core_ristretto255_SCALARBYTES>;
using Wide = std::array<std::uint8_t, crypto_core_ristretto255_HASHBYTES>;
static_assert(crypto_core_ristretto255_HASHBYTES == crypto_core_ristretto255_NONREDUCEDSCALARBYTES);

void initialise() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) throw Error("ot.library", "libsodium cannot be initialised");
}

/// Whether libsodium gave a result. It gives none for the identity, which no honest party's secret leads to.
bool succeeded(int code) {
  POPCORN_DECLASSIFY(code);
  return code == 0;
}

Wide draw(Rng& rng) {
  Wide wide;
  rng.fill(wide);
  return wide;
}

Scalar draw_scalar(Rng& rng) {
  Wide wide = draw(rng);
  Scalar scalar;
  crypto_core_ristretto255_scalar_reduce(scalar.data(), wide.data());
  OPENSSL_cleanse(wide.data(), wide.size());
  return scalar;
}

PointBytes draw_point(Rng& rng) {
  const Wide wide = draw(rng);
  PointBytes point;
  crypto_core_ristretto255_from_hash(point.data(), wide.data());
  return point;
}

bool is_point(const PointBytes& point) {
  const bool is_identity =
      std::ranges::all_of(point, [](std::uint8_t byte) { return byte == 0; });  // its only encoding
  // libsodium 1.0.18 takes an encoding whose highest bit is set for the one without it.
  const bool is_reduced = point.back() < 0x80;
  return !is_identity && is_reduced && crypto_core_ristretto255_is_valid_point(point.data()) == 1;
}

/// H(side, other): what is added to a side's element before it is used. A random oracle into the group.
PointBytes oracle(const PointBytes& owner, ByteView nonce, std::size_t index, std::uint64_t side,
                  const PointBytes& other) {
  Wide wide;
  for (std::uint64_t half = 0; half < 2; ++half) {
    const Sha256 digest = Transcript("base transfer point")
                              .add(ByteView(owner))
                              .add(nonce)
                              .add(index)
                              .add(side)
                              .add(ByteView(other))
                              .add(half)
                              .digest();
    std::ranges::copy(digest, wide.begin() + static_cast<std::ptrdiff_t>(half * digest.size()));
  }
  PointBytes point;
  crypto_core_ristretto255_from_hash(point.data(), wide.data());
  return point;
}

Sha256 transcript_of(const PointBytes& owner, ByteView nonce, ByteView reply) {
  return Transcript("base transfers").add(ByteView(owner)).add(nonce).add(reply).digest();
}

Block seed_of(const Sha256& transcript, std::size_t index, std::uint64_t side, const PointBytes& key) {
  return Transcript("base transfer seed")
      .add(ByteView(transcript))
      .add(index)
      .add(side)
      .add(ByteView(key))
      .block();
}

}  // namespace

BaseOwner::BaseOwner(Rng& rng) {
  initialise();
  do {
    scalar_ = draw_scalar(rng);
  } while (!succeeded(crypto_scalarmult_ristretto255_base(point_.data(), scalar_.data())));
  POPCORN_DECLASSIFY(point_);  // it is sent
}

BaseOwner::BaseOwner(ByteView kept) {
  initialise();
  if (kept.size() != scalar_.size())
    throw InputError("ot.length", "a kept secret of base transfers has 32 bytes");
  std::ranges::copy(kept, scalar_.begin());
  if (!succeeded(crypto_scalarmult_ristretto255_base(point_.data(), scalar_.data())))
    throw InputError("ot.point", "a kept secret of base transfers is zero");
}

void BaseOwner::save(Bytes& out) const {
  out.insert(out.end(), scalar_.begin(), scalar_.end());
}

BaseOwner::~BaseOwner() {
  OPENSSL_cleanse(scalar_.data(), scalar_.size());
}

void BaseOwner::request(Bytes& out) const {
  out.insert(out.end(), point_.begin(), point_.end());
}

OfferedSeeds BaseOwner::finish(ByteView nonce, ByteView reply) const {
  const Sha256 transcript = transcript_of(point_, nonce, reply);
  OfferedSeeds seeds;
  for (std::size_t i = 0; i < kBaseTransfers; ++i) {
    std::array<PointBytes, 2> elements;
    std::memcpy(elements.data(), reply.data() + i * sizeof elements, sizeof elements);
    if (!is_point(elements[0]) || !is_point(elements[1])) {
      throw FailedCheck("ot.point", "an element of the base transfers is no point of the group");
    }
    for (std::size_t side = 0; side < 2; ++side) {
      const PointBytes shift = oracle(point_, nonce, i, side, elements[1 - side]);
      PointBytes sum;
      PointBytes key;
      if (!succeeded(crypto_core_ristretto255_add(sum.data(), elements[side].data(), shift.data())) ||
          !succeeded(crypto_scalarmult_ristretto255(key.data(), scalar_.data(), sum.data()))) {
        throw FailedCheck("ot.point", "an element of the base transfers gives the identity");
      }
      seeds.pairs[i][side] = seed_of(transcript, i, side, key);
      OPENSSL_cleanse(key.data(), key.size());
    }
  }
  return seeds;
}

BaseChooser::BaseChooser(ByteView request) {
  initialise();
  if (request.size() != kPointBytes) {
    throw InputError("ot.length", "the base transfers' request is not a point of 32 bytes");
  }
  std::ranges::copy(request, point_.begin());
  if (!is_point(point_)) {
    throw InputError("ot.point",
                     "the base transfers' request is no canonical point of ristretto255, or the identity");
  }
}

ChosenSeeds BaseChooser::reply(ByteView nonce, Rng& rng, Bytes& out) const {
  ChosenSeeds seeds;
  std::vector<std::uint8_t> choices = draw_bits(rng, kBaseTransfers);
  choices[0] = 0;
  std::vector<PointBytes> keys(kBaseTransfers);
  const std::size_t start = out.size();
  for (std::size_t i = 0; i < kBaseTransfers; ++i) {
    seeds.choices[i] = choices[i];
    const PointBytes other = draw_point(rng);
    const PointBytes shift = oracle(point_, nonce, i, seeds.choices[i], other);
    Scalar scalar = draw_scalar(rng);
    PointBytes chosen;
    // A scalar of 0 has probability 2^-252; a point drawn by hashing is valid.
    if (!succeeded(crypto_scalarmult_ristretto255_base(chosen.data(), scalar.data())) ||
        !succeeded(crypto_core_ristretto255_sub(chosen.data(), chosen.data(), shift.data())) ||
        !succeeded(crypto_scalarmult_ristretto255(keys[i].data(), scalar.data(), point_.data()))) {
      throw Error("ot.library", "the base transfers drew the identity");
    }
    OPENSSL_cleanse(scalar.data(), scalar.size());
    const auto mask = static_cast<std::uint8_t>(0 - seeds.choices[i]);
    std::array<PointBytes, 2> elements;
    for (std::size_t byte = 0; byte < kPointBytes; ++byte) {
      const auto swap = static_cast<std::uint8_t>((chosen[byte] ^ other[byte]) & mask);
      elements[0][byte] = static_cast<std::uint8_t>(chosen[byte] ^ swap);
      elements[1][byte] = static_cast<std::uint8_t>(other[byte] ^ swap);
    }
    for (const PointBytes& element : elements) out.insert(out.end(), element.begin(), element.end());
  }
  const Sha256 transcript = transcript_of(point_, nonce, ByteView(out).subspan(start));
  for (std::size_t i = 0; i < kBaseTransfers; ++i) {
    seeds.seeds[i] = seed_of(transcript, i, seeds.choices[i], keys[i]);
  }
  OPENSSL_cleanse(keys.data(), keys.size() * sizeof(PointBytes));
  OPENSSL_cleanse(choices.data(), choices.size());
  return seeds;
}

}  // namespace popcorn::protocols::ot
