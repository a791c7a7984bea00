// Labelled pictures: training and test sets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::datasets {

/// Pictures of one size with their class numbers.
struct Dataset {
  models::Shape shape;                 ///< channels × height × width of one picture
  std::vector<std::uint8_t> pixels;    ///< picture after picture, channel first, row-major, 0…255
  std::vector<std::uint16_t> classes;  ///< one per picture

  std::size_t count() const noexcept { return classes.size(); }
  std::span<const std::uint8_t> picture(std::size_t i) const {
    const auto size = static_cast<std::size_t>(shape.size());
    return {pixels.data() + i * size, size};
  }
  /// The first `limit` pictures (all when there are fewer).
  Dataset first(std::size_t limit) const;
};

enum class Split { train, test };

/// The idx pair of a MNIST-like set: 8-bit grey pictures and 8-bit labels. The counts must agree and no byte
/// be left.
/// @throws IoError, InputError "dataset.*" that names the file and what was expected
Dataset read_idx(const std::filesystem::path& images, const std::filesystem::path& labels);

/// The data set `name` ("mnist", "cifar10") under `folder`, which may be the data folder or the set's own
/// folder; files may be gzipped or not. @throws UsageError "dataset.unknown", IoError "dataset.missing" that
/// says where it looked
Dataset read_dataset(const std::string& name, const std::filesystem::path& folder, Split split);

}  // namespace popcorn::datasets
