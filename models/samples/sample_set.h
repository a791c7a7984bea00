// The pictures of this folder: which digits, in which sizes, on which paper.
#pragma once

#include <string>
#include <vector>

#include "models/samples/drawing.h"

namespace popcorn::samples {

struct NamedPicture {
  std::string file_name;  ///< "7_1.png": label and number
  Picture picture;
};

/// Two ways of writing each digit, in order of the file names.
std::vector<NamedPicture> sample_set();

}  // namespace popcorn::samples
