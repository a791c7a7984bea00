// Labelled test sets on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "models/input_encoding.h"

namespace popcorn::cli {

struct Dataset {
  std::string name;  ///< "mnist"
  std::vector<models::Image> images;
  std::vector<std::uint8_t> labels;  ///< one per image
};

/// The first `limit` images (0 = all) of the test set that fits a network with this input: MNIST's four idx
/// files, plain or gzipped, in `folder` or in its subfolder mnist/.
/// @throws InputError "data.*" for damaged files or an input that no known test set fits, IoError for absent
/// files
Dataset read_test_set(const std::filesystem::path& folder, const models::InputEncoding& encoding,
                      std::size_t limit);

/// Inflates gzip data; `max_bytes` bounds the result. @throws InputError "data.gzip" that names the file
Bytes gunzip(ByteView file, const std::string& name, std::size_t max_bytes);

/// An idx file of unsigned bytes: its dimensions and samples. @throws InputError "data.idx" that names the
/// file
struct IdxArray {
  std::vector<std::size_t> dimensions;
  ByteView samples;
};
IdxArray parse_idx(ByteView file, const std::string& name);

}  // namespace popcorn::cli
