// The labelled pictures that the accuracy of an integer network is measured on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/input/input_encoding.h"

namespace popcorn::datasets {

struct TestSet {
  std::string name;  ///< "mnist", "cifar10", or the name of a folder of pictures
  std::vector<std::uint16_t> labels;
  std::vector<std::string>
      files;  ///< names of the pictures' files, where each has one of its own; else empty
  /// Picture i, decoded when it is asked for where it is a file of its own. May be called by several threads.
  /// @throws InputError "image.*", IoError; both name the file
  std::function<models::Image(std::size_t i)> image;
  /// Of a table instead: row i, by the network's columns.
  std::function<std::vector<double>(std::size_t i)> row;
  /// Picture or row i as the network's input. @throws as image(), encode_image() and encode_row()
  WideVector input(const models::InputEncoding& encoding, std::size_t i) const;
  std::size_t count() const noexcept { return labels.size(); }
};

struct TestSetChoice {
  std::filesystem::path folder{};
  std::string
      dataset{};  ///< "mnist", "cifar10", "folder", "csv"; empty: by the network's facts, else by its input
  std::size_t limit = 0;  ///< only the first pictures; 0 = all
  /// Of a folder that is not divided: so many belong to training and are left out (see split_pictures()).
  std::optional<std::size_t> training_images{};
  bool ignore_orientation = false;  ///< of pictures' EXIF data
  std::string label{};              ///< of a table: the column with the classes, see read_labelled_table()
};

/// @throws UsageError "dataset.unknown"; IoError and InputError as read_dataset() and list_pictures()
TestSet open_test_set(const TestSetChoice& choice, const models::IntegerNetwork& network);

}  // namespace popcorn::datasets
