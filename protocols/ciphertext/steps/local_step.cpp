#include "protocols/ciphertext/steps/local_step.h"

#include <utility>

#include "protocols/packing/slots.h"
#include "protocols/plan/phases.h"

namespace popcorn::protocols {

namespace {

StepSeconds since(const StepSeconds& before, const StepSeconds& now) {
  return {now.share - before.share, now.test - before.test, now.selection - before.selection};
}

}  // namespace

LocalStep::LocalStep(const SignTest& sign_test, const paillier::KeyOwner& owner,
                     const paillier::Evaluator& evaluator, Rng& rng)
    : sign_test_(sign_test),
      owner_(owner),
      evaluator_(evaluator),
      server_(sign_test, evaluator, rng),
      client_(sign_test, owner, rng) {}

void LocalStep::set_up(SignTestShape& shape) {
  if (is_set_up_) return;
  is_set_up_ = true;
  shape.set_up = sign_test_.set_up(false);
  Bytes request;
  client_.request(request);
  if (!request.empty()) server_.request(request);
}

/// Passes the questions and answers of all exchanges.
void LocalStep::share_and_test(StepKind kind, const SignTestShape& shape) {
  const std::size_t share_bytes =
      has_shares(kind, sign_test_)
          ? share_layout(shape.bits, shape.key_bits).ciphertexts(shape.count) * (shape.key_bits / 4)
          : 0;
  work_.shares = share_bytes / (shape.key_bits / 4);
  for (unsigned exchange = 0; exchange < sign_test_.exchanges(shape.bits); ++exchange) {
    Bytes question, answer;
    server_.question(exchange, question);
    const std::size_t shared = exchange == 0 ? share_bytes : 0;
    WideVector packed;
    if (shared > 0) {
      const PhaseTimer timer(work_.client.share);
      packed = owner_.decrypt(ByteView(question).first(shared), static_cast<std::size_t>(work_.shares),
                              packed_limbs(shape.key_bits));
    }
    client_.question(kind, shape, exchange, std::move(packed), ByteView(question).subspan(shared));
    client_.answer(exchange, answer);
    server_.answer(exchange, answer);
    work_.test_bytes += question.size() - shared + answer.size();
  }
}

paillier::CiphertextBatch LocalStep::run(StepKind kind, unsigned bits, const paillier::CiphertextBatch& x) {
  SignTestShape shape{x.size(), bits, owner_.public_key().bits(), ot::SetUp::done};
  set_up(shape);
  work_ = {};
  const StepSeconds server_before = server_.seconds();
  const StepSeconds client_before = client_.seconds();
  server_.open(kind, shape, x.slice(0, x.size()));
  share_and_test(kind, shape);
  Bytes selection;
  client_.select(kind, selection);
  work_.selections = selection_ciphertexts(kind, x.size());
  double parsing = 0;
  paillier::CiphertextBatch parsed;
  {
    const PhaseTimer timer(parsing);
    parsed = evaluator_.parse(selection, static_cast<std::size_t>(work_.selections));
  }
  paillier::CiphertextBatch result = server_.close(parsed);
  work_.server = since(server_before, server_.seconds());
  work_.server.selection += parsing;
  const double decrypting = work_.client.share;
  work_.client = since(client_before, client_.seconds());
  work_.client.share += decrypting;
  return result;
}

}  // namespace popcorn::protocols
