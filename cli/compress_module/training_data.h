// The pictures that a compression tunes and measures on.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "models/datasets/table_file.h"

namespace popcorn::cli {

struct DataChoice {
  std::filesystem::path folder;
  std::string dataset;  ///< "mnist", "cifar10", "folder"; empty: what the network names, else mnist
  /// Of a folder of pictures that is not divided: so many are for training, the others for testing. Of one
  /// that is: at most so many are read.
  std::optional<std::size_t> training_images;
  std::optional<std::size_t> test_images;  ///< accuracy is measured on the first so many; none = all
  bool ignore_orientation = false;         ///< of pictures' EXIF data
  std::string label;                       ///< of a table: the column with the classes
};

/// Gives a network on rows of numbers its columns, from the training rows of a table: names and ranges. x is
/// the number itself.
/// @throws InputError "table.columns" when the table has another number of columns than the network
void describe_columns(const DataChoice& choice, compress::FloatGraph& graph);
/// The columns of a table, from its training rows. Columns that never change get a range of one.
std::vector<models::InputColumn> columns_of(const datasets::LabelledTable& table, const DataChoice& choice);

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
