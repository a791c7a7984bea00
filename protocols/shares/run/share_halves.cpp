#include "protocols/shares/run/share_halves.h"

#include <openssl/crypto.h>

#include <string_view>

#include "base/error.h"
#include "models/network/rounding.h"
#include "protocols/ot/failed_check.h"

namespace popcorn::protocols::shares {

namespace {

/// Names a direction in a session.
Bytes context(std::string_view direction, ByteView nonce) {
  Bytes bytes(direction.begin(), direction.end());
  bytes.insert(bytes.end(), nonce.begin(), nonce.end());
  return bytes;
}

constexpr std::string_view kFromServer = "shares from server";
constexpr std::string_view kFromClient = "shares from client";

}  // namespace

TransferHalves::TransferHalves(ot::TransferSource source, ot::ChosenSeeds& chosen, ot::OfferedSeeds& offered,
                               ByteView nonce, bool is_server, Rng& rng)
    : sender_(source, chosen, context(is_server ? kFromServer : kFromClient, nonce), rng),
      receiver_(source, offered, context(is_server ? kFromClient : kFromServer, nonce), rng),
      party_{wire_, sender_, receiver_, is_server} {
  OPENSSL_cleanse(&chosen, sizeof chosen);
  OPENSSL_cleanse(&offered, sizeof offered);
}

TransferHalves::TransferHalves(ot::SentPads sent, ot::ReceivedPads received, bool is_server)
    : sender_(std::move(sent)),
      receiver_(std::move(received)),
      party_{wire_, sender_, receiver_, is_server} {}

Bytes advance_or_fail(ot::Half& half, ByteView flight) {
  try {
    return half.advance(flight);
  } catch (const ot::FailedCheck&) {
    throw;
  } catch (const InputError& error) {
    throw ot::FailedCheck(error.code(), error.what());
  }
}

void ShareOpener::add(std::size_t node, unsigned ring, const ShareTensor& share) {
  const auto [other, first] = waiting_.try_emplace(node, share);
  if (first) return;
  WideVector values(share.words.size(), 1);
  for (std::size_t j = 0; j < share.words.size(); ++j) {
    std::int64_t x = std::int64_t{share.words[j]} + other->second.words[j];
    if (!share.lowest.empty()) x += share.lowest[j] | other->second.lowest[j];
    values.set_int64(j, models::wrap_to_ring(x, ring));
  }
  waiting_.erase(other);
  if (ring >= plan_.network.nodes[node].ring) opened_(node, values);
}

}  // namespace popcorn::protocols::shares
