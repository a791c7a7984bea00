#include "models/evaluation/prediction.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace popcorn::models {

namespace {

/// Σ exp(x_i − x_largest): relative to the largest, so that nothing overflows.
double exponential_sum(const std::vector<double>& values, double largest) {
  double sum = 0;
  for (const double value : values) sum += std::exp(value - largest);
  return sum;
}

}  // namespace

std::vector<Candidate> best_classes(const WideVector& logits, const std::vector<double>& scale, bool softmax,
                                    const std::vector<std::string>& labels, std::size_t count) {
  const bool is_scale_per_logit = scale.size() == logits.size();
  if (logits.empty() || (scale.size() != 1 && !is_scale_per_logit)) {
    throw InputError("prediction.size", "a model with " + std::to_string(logits.size()) + " outputs has " +
                                            std::to_string(scale.size()) + " output scales");
  }
  std::vector<double> values(logits.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = logits.to_double(i) * scale[is_scale_per_logit ? i : 0];

  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  count = std::min(count, order.size());
  // Integers decide where one scale is shared, so that a tie is broken as the plaintext evaluator breaks it.
  const bool by_value = is_scale_per_logit && logits.size() > 1;
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::size_t a, std::size_t b) {
                      if (by_value && values[a] != values[b]) return values[a] > values[b];
                      const int compared = by_value ? 0 : WideVector::compare(logits, a, logits, b);
                      return compared != 0 ? compared > 0 : a < b;
                    });
  const double largest = *std::max_element(values.begin(), values.end());
  const double sum = softmax ? exponential_sum(values, largest) : 0;
  std::vector<Candidate> best;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t index = order[k];
    Candidate candidate{index, index < labels.size() ? labels[index] : std::to_string(index), {}};
    if (softmax) candidate.probability = std::exp(values[index] - largest) / sum;
    best.push_back(std::move(candidate));
  }
  return best;
}

Prediction predict(const WideVector& logits, const std::vector<double>& scale, bool softmax,
                   const std::vector<std::string>& labels) {
  Candidate best = best_classes(logits, scale, softmax, labels, 1).front();
  return {best.index, std::move(best.label), best.probability};
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
