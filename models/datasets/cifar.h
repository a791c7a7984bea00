// The CIFAR-10 data set (Krizhevsky 2009): 32×32 RGB pictures of ten classes.
#pragma once

#include "models/datasets/dataset.h"

namespace popcorn::datasets {

/// Records of the binary version: a class byte, then 1024 red, 1024 green and 1024 blue bytes, row by row.
/// @param file named in messages. @throws InputError "dataset.length", "dataset.label"
Dataset parse_cifar10(ByteView records, const std::filesystem::path& file);

/// A tar archive of JPEG files `…/train/NNNNN_L.jpg` and `…/test/NNNNN_L.jpg` (number, label) of 32×32
/// pictures.
/// @throws InputError "dataset.*": damaged archive or picture, a picture of another size, no picture of this
/// split
Dataset parse_cifar10_archive(ByteView tar, Split split, const std::filesystem::path& file);

/// CIFAR-10 under `folder` (or `folder`/cifar10), packed with xz or not: the binary files (data_batch_1 … 5
/// or test_batch) when they are complete, else the archive cifar-10-jpeg.tar. @throws IoError
/// "dataset.missing"
Dataset read_cifar10(const std::filesystem::path& folder, Split split);

}  // namespace popcorn::datasets
