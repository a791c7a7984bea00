// The set-up of oblivious transfers between two parties: made within the messages of a session, kept by both
// for later sessions under the same key. Whatever rests on transfers (the oblivious sign test, an engine on
// shares) begins from it and derives streams of its own.
//
// One set-up serves both directions. What is made and kept today are the base transfers of the direction in
// which the client receives; seeds of the other direction get a state version of their own, in which they
// follow the first.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "protocols/ot/sources/base_seeds.h"

namespace popcorn::protocols::ot {

/// What has to be agreed on before transfers can run, once a session.
enum class SetUp : std::uint8_t {
  done,     ///< nothing more, or nothing at all
  resumed,  ///< both parties kept a set-up from an earlier session under the same key
  full,     ///< from nothing
};

inline constexpr std::size_t kSetUpNonceBytes = 16;
using SetUpNonce = std::array<std::uint8_t, kSetUpNonceBytes>;

/// What a party keeps of a set-up for later sessions under the same key. Opaque and immutable; its owner
/// keeps it with the key and never gives it to the other party or to another key. It may serve any number of
/// sessions, also at the same time: each of them derives its own seeds from it and from fresh nonces of both
/// parties.
class KeptSetUp {
 public:
  virtual ~KeptSetUp() = default;
  /// Names the set-up; the same at both parties. Not secret.
  virtual ByteView id() const noexcept = 0;
  /// Appends what server_set_up() or client_set_up() reads. Secret.
  virtual void serialise(Bytes& out) const = 0;
};

/// The kept seeds of one side; named by the nonce of the session that made them. Wiped at the end.
template <typename Seeds>
class KeptSeeds final : public KeptSetUp {
 public:
  KeptSeeds(const SetUpNonce& id, const Seeds& seeds) : id_(id), seeds_(seeds) {}
  ~KeptSeeds() override;
  ByteView id() const noexcept override { return id_; }
  const Seeds& seeds() const noexcept { return seeds_; }
  void serialise(Bytes& out) const override;
  static constexpr std::size_t kBytes = 2 + kSetUpNonceBytes + sizeof(Seeds);

 private:
  SetUpNonce id_;
  Seeds seeds_;
};
/// The server's, which sends: what it chose among base transfers; the client's, which receives: what it
/// offered.
using KeptSenderSeeds = KeptSeeds<ChosenSeeds>;
using KeptReceiverSeeds = KeptSeeds<OfferedSeeds>;

/// The inverse of KeptSetUp::serialise() for each party's own. @throws InputError "sign_test.state"
std::shared_ptr<const KeptSenderSeeds> server_set_up(ByteView bytes);
std::shared_ptr<const KeptReceiverSeeds> client_set_up(ByteView bytes);

/// A set-up as what it must be at this side; null stays null. @throws Error "sign_test.state" when it is the
/// other side's
template <typename Kept>
std::shared_ptr<const Kept> as_kept(std::shared_ptr<const KeptSetUp> set_up);

}  // namespace popcorn::protocols::ot
