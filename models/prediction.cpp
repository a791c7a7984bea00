#include "models/prediction.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace popcorn::models {

namespace {

/// exp(x_best) / Σ exp(x_i), computed relative to the largest so that nothing overflows.
double softmax_of(const std::vector<double>& values, std::size_t best) {
  const double largest = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += std::exp(value - largest);
  return std::exp(values[best] - largest) / sum;
}

}  // namespace

Prediction predict(const WideVector& logits, const std::vector<double>& scale, bool softmax,
                   const std::vector<std::string>& labels) {
  const bool is_scale_per_logit = scale.size() == logits.size();
  if (logits.empty() || (scale.size() != 1 && !is_scale_per_logit)) {
    throw InputError("prediction.size", "a model with " + std::to_string(logits.size()) + " outputs has " +
                                            std::to_string(scale.size()) + " output scales");
  }
  std::vector<double> values(logits.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = logits.to_double(i) * scale[is_scale_per_logit ? i : 0];

  Prediction prediction;
  for (std::size_t i = 1; i < logits.size(); ++i) {
    // Integers decide where one scale is shared, so that a tie is broken as the plaintext evaluator breaks
    // it.
    const bool is_larger = is_scale_per_logit && logits.size() > 1
                               ? values[i] > values[prediction.index]
                               : WideVector::compare(logits, i, logits, prediction.index) > 0;
    if (is_larger) prediction.index = i;
  }
  prediction.label =
      prediction.index < labels.size() ? labels[prediction.index] : std::to_string(prediction.index);
  if (softmax) prediction.probability = softmax_of(values, prediction.index);
  return prediction;
}

Prediction predict_label(const WideVector& answer, const std::vector<std::string>& labels) {
  const bool one_even_value =
      answer.size() == 1 && answer.fits_int64(0) && answer.to_int64(0) >= 0 && answer.to_int64(0) % 2 == 0;
  const std::int64_t index = one_even_value ? answer.to_int64(0) / 2 : -1;
  if (index < 0 || (!labels.empty() && static_cast<std::size_t>(index) >= labels.size())) {
    throw InputError("prediction.label", "the server's answer is not the index of a class");
  }
  Prediction prediction;
  prediction.index = static_cast<std::size_t>(index);
  prediction.label = labels.empty() ? std::to_string(index) : labels[prediction.index];
  return prediction;
}

}  // namespace popcorn::models
