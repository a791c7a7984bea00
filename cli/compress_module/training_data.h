// The pictures that a compression tunes and measures on.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compress/dataset.h"
#include "compress/float_graph.h"

namespace popcorn::cli {

struct DataChoice {
  std::filesystem::path folder;
  std::string dataset;  ///< "mnist", "cifar10", "folder"; empty: what the network names, else mnist
  /// Of a folder of pictures that is not divided: so many are for training, the others for testing. Of one
  /// that is: at most so many are read.
  std::optional<std::size_t> training_images;
  std::optional<std::size_t> test_images;  ///< accuracy is measured on the first so many; none = all
  bool ignore_orientation = false;         ///< of pictures' EXIF data
};

struct TrainingData {
  std::string name;  ///< of the set or, for pictures, of their folder
  compress::Dataset training, test;
  std::vector<std::string> labels;  ///< class names, of a folder of pictures that has them
  /// What a report says about the data set: name, size of each part.
  std::vector<std::pair<std::string, std::string>> facts;
};

/// Reads and, for files of pictures, decodes to what the network takes.
/// @throws UsageError, InputError "dataset.*", "image.*", IoError; InputError "dataset.class" when a picture
/// is of a class that the network has no output for
TrainingData read_training_data(const DataChoice& choice, const compress::FloatGraph& graph);

}  // namespace popcorn::cli
