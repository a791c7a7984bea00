// From logits to an answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/wide_vector.h"

namespace popcorn::models {

struct Prediction {
  std::size_t index = 0;
  std::string label;  ///< the class name, or the index when the model has none
  std::optional<double>
      probability;  ///< softmax of logits · scale; absent when the model is not made for one
};

/// @param scale one per logit, or one for all
/// @throws InputError "prediction.size" when the sizes do not belong together
Prediction predict(const WideVector& logits, const std::vector<double>& scale, bool softmax,
                   const std::vector<std::string>& labels);
struct Candidate {
  std::size_t index = 0;
  std::string label;
  std::optional<double> probability;
};
/// The `count` likeliest classes (all when there are fewer), best first; equals in the order of their
/// indices, so that the first is predict()'s. @throws as predict()
std::vector<Candidate> best_classes(const WideVector& logits, const std::vector<double>& scale, bool softmax,
                                    const std::vector<std::string>& labels, std::size_t count);
/// From the answer of a network with an arg-max: twice the index.
/// @throws InputError "prediction.label" for anything that is no index of `labels`
Prediction predict_label(const WideVector& answer, const std::vector<std::string>& labels);

}  // namespace popcorn::models
