#include "tests/protocols/parties.h"

#include <map>

#include "base/error.h"
#include "protocols/ciphertext/round_plan.h"

namespace popcorn::test {

using paillier::CiphertextBatch;

CiphertextBatch Party::encrypt(const paillier::Evaluator& evaluator, const WideVector& values) const {
  Bytes wire;
  owner->encrypt(values, wire);
  return evaluator.parse(wire, values.size());
}

WideVector Party::decrypt(const CiphertextBatch& batch, std::size_t limbs) const {
  const paillier::Evaluator evaluator(context);
  Bytes wire;
  evaluator.serialise(batch, wire);
  return owner->decrypt(wire, batch.size(), limbs);
}

const Party& party(unsigned key_bits, unsigned variant) {
  static std::map<std::pair<unsigned, unsigned>, Party> parties;
  Party& entry = parties[{key_bits, variant}];
  if (!entry.owner) {
    SeededRng rng(1000 * key_bits + variant);
    entry.owner = std::make_shared<const paillier::KeyOwner>(paillier::PrivateKey::generate(
        key_bits, paillier::KeyKind::ordinary, paillier::KeySizePolicy::insecure_test, rng));
    entry.context = paillier::PublicContext::create(entry.owner->public_key());
  }
  return entry;
}

unsigned fitting_key_bits(const models::IntegerNetwork& network) {
  for (unsigned bits = 256;; bits += 128) {
    try {
      protocols::step_list(network, bits);
      return bits;
    } catch (const InputError& error) {
      if (error.code() != "model.too_wide" || bits >= 4096) throw;
    }
  }
}

Transcript run_inference(std::shared_ptr<const protocols::ServedModel> model, const Party& party,
                         const WideVector& input, Rng& rng, const protocols::SessionOptions& options) {
  Transcript transcript;
  transcript.tensors.resize(model->network().nodes.size());
  protocols::ServerSession server(model, party.context, options, rng);
  protocols::ClientSession client(model->bundle(), party.owner, input, options, rng);
  server.observe(client,
                 [&](std::size_t node, const WideVector& values) { transcript.tensors[node] = values; });
  ByteView message = client.start();
  for (;;) {
    transcript.up.emplace_back(message.begin(), message.end());
    transcript.down.push_back(server.handle(message));
    transcript.peak_memory = std::max(transcript.peak_memory, server.memory_bytes());
    const std::optional<ByteView> next = client.handle(transcript.down.back());
    if (!next) break;
    message = *next;
  }
  transcript.logits = client.logits();
  transcript.counts = server.counts();
  transcript.final_memory = server.memory_bytes();
  return transcript;
}

}  // namespace popcorn::test
