// What a party keeps of a masked result D = W·c + offset + R mod N, packed in slots of B bits: its digits, as
// the shares that protocols/ot/steps/share_steps.h takes with `neighbour`.
//
// With digits d of D (client), r of R (server) and contents below 2^(B − 1), the content of slot j is
// d_j − r_j − κ_j mod 2^B, and the borrow from the slot below is κ_j = top(r_(j−1)) ∧ ¬top(d_(j−1)) exactly:
// without its top bit r cannot overflow, and an overflow leaves d without it. Hence
//
//   content = d_j + ¬r_j + (1 − κ_j),   1 − κ_j = carry of top(d_(j−1)) + ¬top(r_(j−1)) + 1
#pragma once

#include "base/wide_vector.h"
#include "protocols/ot/sources/random_transfer.h"
#include "protocols/shares/layer/layout.h"

namespace popcorn::protocols::shares {

/// One party's part, in the order of the output tensor: client + server + carry ≡ W·c mod 2^w, the carry
/// being that of both `lowest` and 1. The offset is a multiple of 2^w and gone.
struct MaskedResult {
  ot::Words words;   ///< d_j or ¬r_j, w bits
  ot::Words lowest;  ///< top(d_(j−1)), 1 for slot 0; or ¬top(r_(j−1))
};

/// From the decrypted plaintexts. @param residues layout.outputs() values in [0, N)
MaskedResult client_result(const PackedLayout& layout, const WideVector& residues);
/// From the masks. @param masks layout.outputs() values in [0, N)
MaskedResult server_result(const PackedLayout& layout, const WideVector& masks);

}  // namespace popcorn::protocols::shares
