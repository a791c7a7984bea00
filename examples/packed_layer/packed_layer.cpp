// packed_layer: a dense layer on a share that the server cannot read, with weights that the client does not
// see. At the end both hold numbers that look random and together are the layer's output.
#include <base/error.h>
#include <protocols/shares/layer/packed_layer.h>

#include <array>
#include <iostream>

namespace {

using popcorn::Bytes;
namespace models = popcorn::models;
namespace paillier = popcorn::paillier;
namespace protocols = popcorn::protocols;
namespace shares = popcorn::protocols::shares;

constexpr unsigned kRing = 16;  // numbers are taken modulo 2^16
constexpr unsigned kKeyBits = 2048;
constexpr std::array<std::uint32_t, 4> kInput = {3, 1, 4, 1};
constexpr std::array<std::int32_t, 12> kWeights = {1, 2, -3, 0,   //
                                                   0, 5, 1,  -1,  //
                                                   7, 0, 0,  2};

/// The layer's output is client + server + carry: the carry is that of `lowest` and 1.
std::uint32_t put_together(const shares::MaskedResult& client, const shares::MaskedResult& server,
                           std::size_t i) {
  const std::uint32_t carry = (client.lowest[i] + server.lowest[i] + 1) >> 1;
  return (client.words[i] + server.words[i] + carry) & ((1U << kRing) - 1);
}

std::uint32_t expected(std::size_t row) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < kInput.size(); ++i) {
    sum += std::int64_t{kWeights[row * kInput.size() + i]} * std::int64_t{kInput[i]};
  }
  return static_cast<std::uint32_t>(sum) & ((1U << kRing) - 1);
}

}  // namespace

int main() try {
  // What both know: the layer's shape.
  models::Node node;
  node.kind = models::NodeKind::dense;
  node.name = "dense";
  node.weights.assign(kWeights.begin(), kWeights.end());
  shares::WeightedLayer facts;
  facts.name = node.name;
  facts.input = {4, 1, 1};
  facts.output = {3, 1, 1};
  facts.ring = kRing;
  facts.slot_bits = shares::required_slot_bits(node, facts);
  const shares::PackedLayout layout = shares::cheapest_layout(facts, kKeyBits);

  // Client: its share, encrypted. (In an inference the share is random and chosen before the input is known.)
  const paillier::KeyOwner owner(paillier::PrivateKey::generate(kKeyBits));
  Bytes request;
  shares::encrypt_shares(layout, owner, protocols::ot::Words(kInput.begin(), kInput.end()), request);

  // Server: the layer on ciphertexts, under a fresh mask.
  const shares::PackedLayer layer(node, layout);
  const paillier::Evaluator evaluator(paillier::PublicContext::create(owner.public_key()));
  Bytes response;
  const shares::MaskedResult server = layer.evaluate(evaluator, request, response);

  // Client: opens what is masked.
  const shares::MaskedResult client = shares::open_result(layout, owner, response);
  std::cout << layout.inputs() << " ciphertext(s) up, " << layout.outputs() << " down\n";
  for (std::size_t row = 0; row < 3; ++row) {
    const std::uint32_t output = put_together(client, server, row);
    std::cout << client.words[row] << " and " << server.words[row] << " make " << output << '\n';
    if (output != expected(row)) return 1;
  }
} catch (const popcorn::Error& error) {
  std::cerr << error.what() << " [" << error.code() << "]\n";
  return error.exit_code();
}
