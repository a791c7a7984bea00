#include "compress/integer_accuracy.h"

#include <algorithm>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/interruption.h"
#include "models/evaluation/plaintext_evaluator.h"

namespace popcorn::compress {

namespace {
constexpr std::size_t kBatch = 496, kBatchValues = std::size_t{1} << 20;  // of inputs: 2 MiB
}

std::vector<std::int16_t> integer_inputs(const models::IntegerNetwork& network, const Dataset& data,
                                         std::size_t first, std::size_t count) {
  const models::Shape& shape = network.input().shape;
  if (data.shape.size() != shape.size()) {
    throw InputError("training.shape", "the pictures are " + data.shape.to_string() +
                                           ", the network expects " + shape.to_string());
  }
  const std::vector<std::int64_t>& offsets = network.encoding.offset;
  const auto plane = static_cast<std::size_t>(shape.height * shape.width);
  std::vector<std::int16_t> result;
  result.reserve(count * static_cast<std::size_t>(shape.size()));
  for (std::size_t i = first; i < first + count; ++i) {
    const std::span<const std::uint8_t> picture = data.picture(i);
    for (std::size_t k = 0; k < picture.size(); ++k) {
      const std::int64_t offset = offsets.empty() ? 0 : offsets[offsets.size() == 1 ? 0 : k / plane];
      result.push_back(static_cast<std::int16_t>(picture[k] - offset));
    }
  }
  return result;
}

std::vector<std::uint16_t> integer_answers(const models::IntegerNetwork& network, const Dataset& data,
                                           const std::atomic<bool>* stop, models::RangeCounts* counts,
                                           models::ValueExtremes* extremes) {
  const models::FastEvaluator evaluator(network);
  const auto classes = static_cast<std::size_t>(network.output().shape.size());
  const std::vector<double>& scale = network.output().scale;
  std::vector<std::uint16_t> answers;
  // The evaluator takes eight pictures at a time; large ones are few, so that a stop is seen soon.
  const std::size_t batch = std::clamp<std::size_t>(
      kBatchValues / static_cast<std::size_t>(network.input().shape.size()) / 8 * 8, 16, kBatch);
  for (std::size_t first = 0; first < data.count(); first += batch) {
    throw_if_stopped(stop);
    const std::size_t count = std::min(batch, data.count() - first);
    std::vector<double> values = evaluator.run(integer_inputs(network, data, first, count), count,
                                               {models::Rounding(), first, counts, extremes});
    for (std::size_t i = 0; i < values.size() && scale.size() == classes; ++i)
      values[i] *= scale[i % classes];
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = values.begin() + static_cast<std::ptrdiff_t>(i * classes);
      answers.push_back(static_cast<std::uint16_t>(
          std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row));
    }
  }
  return answers;
}

double integer_accuracy(const models::IntegerNetwork& network, const Dataset& data,
                        const std::atomic<bool>* stop, models::RangeCounts* counts) {
  return share_of_equal(integer_answers(network, data, stop, counts), data.classes);
}

}  // namespace popcorn::compress
