#include "protocols/ciphertext/ciphertext_server.h"

#include <utility>

namespace popcorn::protocols {

CiphertextServer::CiphertextServer(const ServerParts& parts, const CiphertextNetwork& network,
                                   const SignTest& sign_test)
    : key_(parts.key),
      plan_(parts.bundle, sign_test, key_->key().bits(), parts.options.transfer_set_up != nullptr),
      run_(network, plan_, parts.evaluator, parts.rng, parts.options.transfer_set_up) {
  check_plaintext_space(network.network, network.steps, plan_.key_bits(), sign_test);
}

void CiphertextServer::take(std::uint64_t round, ByteView section) {
  const PhaseTimer timer(phases_.step);
  if (round > 0) {
    run_.answer(plan_.place(round).exchange, section);
  } else if (plan_.set_up() != ot::SetUp::done) {
    run_.request(section);
  }
}

void CiphertextServer::answer(std::uint64_t round, paillier::CiphertextBatch ciphertexts, Bytes& out) {
  const double linear_before = run_.linear_seconds();
  double seconds = 0;
  bool asked = false;
  {
    const PhaseTimer timer(seconds);
    asked = compute(round, std::move(ciphertexts), out);
  }
  const double linear = run_.linear_seconds() - linear_before;
  phases_.linear += linear;
  (asked ? phases_.step : phases_.output) += seconds - linear;
}

/// True when the answer is a question, false when it is the output.
bool CiphertextServer::compute(std::uint64_t round, paillier::CiphertextBatch ciphertexts, Bytes& out) {
  if (round == 0) {
    run_.set_input(std::move(ciphertexts));
  } else if (plan_.place(round).last) {
    const paillier::CiphertextBatch selection = std::move(ciphertexts);  // not needed in what follows
    run_.close_step(selection);
  }
  const bool step_goes_on = round > 0 && !plan_.place(round).last;
  const bool asked = step_goes_on || run_.advance();
  if (asked) {
    run_.question(plan_.server_address(round).exchange, out);
  } else {
    run_.append_output(out);
  }
  return asked;
}

void CiphertextServer::observe(ClientEngine& client, Observer observer) {
  run_.observe([this, &client, observer = std::move(observer)](std::size_t node,
                                                               const paillier::CiphertextBatch& tensor) {
    const paillier::Evaluator evaluator(key_);  // not the session's, which counts its work
    Bytes wire;
    evaluator.serialise(tensor, wire);
    observer(node, client.decrypt(0, wire));
  });
}

void CiphertextServer::save(std::uint64_t round, StateWriter& out) const {
  if (round > 0) run_.save(round, out);
}

void CiphertextServer::restore(std::uint64_t round, StateReader& in) {
  if (round > 0) run_.restore(round, in);
}

}  // namespace popcorn::protocols
