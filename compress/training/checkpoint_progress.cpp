#include "compress/training/checkpoint_progress.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "compress/training/checkpoint_format.h"

namespace popcorn::compress {

int epochs_in_checkpoint(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return 0;
  const Bytes file = read_file(path);
  try {
    ByteReader in(file, "checkpoint");
    if (in.u32() == kCheckpointMagic && in.u32() == kCheckpointVersion) {
      in.bytes(in.u32());  // the run's name
      return static_cast<int>(std::min(in.u32(), kMaxCheckpointEpochs));
    }
  } catch (const InputError&) {  // too short: the same message
  }
  throw InputError("checkpoint.damaged", path.string() + ": not a checkpoint of this version");
}

}  // namespace popcorn::compress
