// Running a float graph on pictures and plain numbers.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "compress/dataset.h"
#include "compress/float_graph.h"

namespace popcorn::compress {

/// Inference with LibTorch. Copies the parameters at construction.
class Executor {
 public:
  enum class Precision { single_precision, double_precision };
  explicit Executor(const FloatGraph& graph, Precision precision = Precision::single_precision);
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  /// `count` normalised inputs, row after row; returns count × output size values.
  std::vector<float> run(std::span<const float> inputs, std::size_t count);
  /// The same without rounding to single precision at the ends: for comparisons with exact integers.
  std::vector<double> run(std::span<const double> inputs, std::size_t count);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// (pixel / 255 − mean) / deviation, in place; `values` holds one picture of the graph's input shape.
void normalise(const FloatGraph& graph, std::span<float> values);

/// The logits of all pictures, in single precision, picture after picture.
/// @param stop ends the work with Interrupted when it becomes true; may be null
std::vector<float> logits(const FloatGraph& graph, const Dataset& data,
                          const std::atomic<bool>* stop = nullptr);
/// The class of each picture's largest logit, the lowest in a tie. @param stop as for logits()
std::vector<std::uint16_t> answers(const FloatGraph& graph, const Dataset& data,
                                   const std::atomic<bool>* stop = nullptr);
/// The share of answers that are the pictures' classes (or another network's answers). 0 of none.
double share_of_equal(const std::vector<std::uint16_t>& answers, const std::vector<std::uint16_t>& classes);
/// Share of pictures whose largest logit is their class. @param stop as for logits()
double accuracy(const FloatGraph& graph, const Dataset& data, const std::atomic<bool>* stop = nullptr);

}  // namespace popcorn::compress
