// How fast this machine does what costs are counted in.
#pragma once

namespace popcorn::protocols {

/// Wall seconds of one unit of work, all cores at it, as measured a moment ago: other programs on the machine
/// count.
struct MachineSpeed {
  double linear = 0;         ///< a multiplication of a linear layer (modulo N²)
  double step = 0;           ///< one of a step: shares, sign test, selection
  double encryption = 0;     ///< by the owner of the key, nothing prepared
  double decryption = 0;     ///< likewise
  double transfer_byte = 0;  ///< of the bytes of transfers that are no ciphertexts, work of both parties
};

}  // namespace popcorn::protocols
