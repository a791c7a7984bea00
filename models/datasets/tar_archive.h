// Reading tar archives in memory.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace popcorn::datasets {

struct TarMember {
  std::string name;
  ByteView content;  ///< points into the archive
};

/// The regular files of a POSIX ustar archive, in order. Links, folders and extended headers are passed over.
/// @param source named in messages. @throws InputError "dataset.tar": wrong checksum, size, or a cut archive
std::vector<TarMember> read_tar(ByteView archive, const std::string& source);

}  // namespace popcorn::datasets
