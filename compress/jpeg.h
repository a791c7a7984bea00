// Decoding of small JPEG pictures of training sets.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "models/integer_network.h"

namespace popcorn::compress {

/// RGB, channel after channel. @param source named in messages
/// @throws InputError "dataset.jpeg" for a damaged picture or one whose size is not `shape` (3 channels)
std::vector<std::uint8_t> decode_jpeg(ByteView file, const models::Shape& shape, const std::string& source);

}  // namespace popcorn::compress
