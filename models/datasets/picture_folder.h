// Folders of picture files with labels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/datasets/dataset.h"
#include "models/datasets/image_reading.h"
#include "models/input/input_encoding.h"

namespace popcorn::datasets {

struct LabelledPicture {
  std::filesystem::path file;
  std::string name;  ///< path below the folder, parts joined by '/'
  std::uint16_t label = 0;
};

struct PictureFolder {
  std::filesystem::path path;
  /// Ascending by SHA-256 of their names: well mixed, and the same on every machine.
  std::vector<LabelledPicture> pictures;
  std::vector<std::string> labels;  ///< class names; empty when only numbers are known
};

/// Lists the pictures (.png, .jpg, .jpeg, .pgm, .ppm, in any case) without opening them. The first that
/// applies says what the classes are:
/// 1. a table `file,label` (label_table.h): `path` itself, or labels.csv or labels.tsv in it.
///    Labels are class numbers when all are whole numbers,
///    else names.
/// 2. sub-folders: one class each, pictures at any depth below.
/// 3. names of files that begin with the class number: 012_anything.jpg.
/// Named classes are numbered by labels.txt (label_table.h) in the folder or above it where there is one,
/// else in the order of their names, byte by byte. Names that begin with a dot are passed over.
/// @throws IoError "dataset.missing", InputError "dataset.*" that names the file and what was expected
PictureFolder list_pictures(const std::filesystem::path& path);

struct PictureSplit {
  PictureFolder training, test;  ///< without a common picture
};

/// A folder with sub-folders train/ and test/ (or val/) has made the division itself; both must name the same
/// classes. Else the first `training` pictures of list_pictures() are for training and calibration and
/// accuracy is measured on all others; without `training` four fifths are.
/// @throws as list_pictures(); UsageError "dataset.division" when one part would be empty
PictureSplit split_pictures(const std::filesystem::path& path, std::optional<std::size_t> training);

/// The test part of split_pictures(); without `training` all pictures of a folder that is not divided.
PictureFolder test_pictures(const std::filesystem::path& path, std::optional<std::size_t> training);

/// Decodes pictures to what a network with this encoding takes (resized, cropped, in its colours), before the
/// offset is subtracted. Works on several cores. One byte of memory for each value of each input.
/// @param report called from any thread with how many are done
/// @throws InputError "dataset.too_large" above kMaxLoadedBytes, "image.*" that names the file; IoError
Dataset load_pictures(std::span<const LabelledPicture> pictures, const models::InputEncoding& encoding,
                      const std::function<void(std::size_t done)>& report = {},
                      Orientation orientation = Orientation::apply);
inline constexpr std::size_t kMaxLoadedBytes = std::size_t{4} << 30;

}  // namespace popcorn::datasets
