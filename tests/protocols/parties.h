// Both parties in one process, with small keys: what the tests of the protocols run on.
#pragma once

#include <memory>
#include <vector>

#include "models/network/integer_network.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/session/session.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

/// A breakable key pair with what each party precomputes from it.
struct Party {
  std::shared_ptr<const paillier::KeyOwner> owner;
  std::shared_ptr<const paillier::PublicContext> context;

  std::size_t ciphertext_bytes() const { return owner->public_key().ciphertext_bytes(); }
  /// Fresh ciphertexts of values, as the server holds them.
  paillier::CiphertextBatch encrypt(const paillier::Evaluator& evaluator, const WideVector& values) const;
  WideVector decrypt(const paillier::CiphertextBatch& batch, std::size_t limbs) const;
};

/// Made once for a size and variant.
const Party& party(unsigned key_bits, unsigned variant = 0);

/// The smallest key size, a multiple of 128 from 256 bits, that the network fits with the blinded sign test.
unsigned fitting_key_bits(const models::IntegerNetwork& network);

struct Transcript {
  WideVector logits;
  std::vector<WideVector> tensors;  ///< of every node
  std::vector<Bytes> up, down;      ///< messages of all rounds
  paillier::OperationCounts counts;
  std::size_t peak_memory = 0, final_memory = 0;
};

/// One whole inference.
Transcript run_inference(std::shared_ptr<const protocols::ServedModel> model, const Party& party,
                         const WideVector& input, Rng& rng, const protocols::SessionOptions& options = {});

}  // namespace popcorn::test
