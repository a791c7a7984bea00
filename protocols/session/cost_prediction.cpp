#include "protocols/session/cost_prediction.h"

#include "protocols/engines.h"

namespace popcorn::protocols {

InferenceCost predict_cost(const ServedModel& model, unsigned key_bits, const SessionOptions& options,
                           bool resumes) {
  const Engine& engine = accepted_engine(model.bundle(), options);
  InferenceCost cost = engine.cost(model.prepared(engine.name()), model.bundle(), key_bits, options, resumes);
  cost.engine = engine.name();
  return cost;
}

InferenceCost predict_client_cost(const ClientBundle& bundle, unsigned key_bits,
                                  const SessionOptions& options, bool resumes) {
  const Engine& engine = accepted_engine(bundle, options);
  InferenceCost cost = engine.client_cost(bundle, key_bits, options, resumes);
  cost.engine = engine.name();
  return cost;
}

}  // namespace popcorn::protocols
