// The online phase: both parties' halves of a plan, from the client's input to its answer.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "protocols/shares/layer/masked_result.h"
#include "protocols/shares/plan/share_plan.h"
#include "protocols/shares/run/clear_sums.h"

namespace popcorn::protocols::shares {

/// A party's share of a tensor: x ≡ both words, and where `lowest` is there, the carry of both and 1.
struct ShareTensor {
  ot::Words words;
  ot::Words lowest;
};

/// Sees a party's share of every tensor that the plan holds, once it is complete. Only where both parties are
/// one process may anything be told of it.
using ShareObserver = std::function<void(std::size_t node, unsigned ring, const ShareTensor& share)>;

/// The server's weights, ready to be multiplied with shares, but for those of an arg-max at the end. The
/// network must outlive it.
class ClearLayers {
 public:
  explicit ClearLayers(const models::IntegerNetwork& network);
  ot::Words operator()(std::size_t node, const ot::Words& share) const;

 private:
  std::map<std::size_t, ClearSums> layers_;
};

/// What the server brings: weights, and its part of a preparation that has never been used.
struct ServerPart {
  const ClearLayers& layers;
  /// Of a weighted node; called once, in the plan's order.
  std::function<MaskedResult(std::size_t node)> prepared;
  ShareObserver observer = {};
};

/// What the client brings: its input modulo 2^32, and its part of that preparation.
struct ClientPart {
  ot::Words input;
  /// The share of a tensor that it chose, modulo 2^held; called once, in the plan's order.
  std::function<ot::Words(std::size_t node)> chosen;
  std::function<MaskedResult(std::size_t node)> prepared;
  ShareObserver observer = {};
};

struct ShareAnswer {
  std::vector<std::int64_t> logits;  ///< empty when only the label was asked for
  std::optional<std::size_t> label;  ///< may be hostile: below 2^key_bits(classes)
};

/// Random transfers for the first pieces of the plan: before the input is there.
ot::Dialogue<void> reserve_first(ot::TransferParty& party, const SharePlan& plan);

/// @throws InputError "shares.preparation" when a part has another size than the plan says, "ot.check" from
/// the transfers: then session and preparation are over
ot::Dialogue<void> run_server(ot::TransferParty& party, const SharePlan& plan, const ServerPart& part);
ot::Dialogue<void> run_client(ot::TransferParty& party, const SharePlan& plan, const ClientPart& part,
                              ShareAnswer& answer);

}  // namespace popcorn::protocols::shares
