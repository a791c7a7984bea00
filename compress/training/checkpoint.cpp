#include "compress/training/checkpoint.h"

#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "compress/training/checkpoint_format.h"

namespace popcorn::compress {

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  Bytes file;
  ByteWriter out(file);
  out.u32(kCheckpointMagic);
  out.u32(kCheckpointVersion);
  out.u32(static_cast<std::uint32_t>(checkpoint.run.size()));
  out.bytes(as_bytes(checkpoint.run));
  out.u32(static_cast<std::uint32_t>(checkpoint.epochs_done));
  out.u64(static_cast<std::uint64_t>(checkpoint.steps));
  out.u32(static_cast<std::uint32_t>(checkpoint.tensors.size()));
  for (const at::Tensor& tensor : checkpoint.tensors) {
    const at::Tensor values = tensor.detach().to(at::kFloat).contiguous();
    const auto bytes = static_cast<std::size_t>(values.numel()) * sizeof(float);
    out.u64(static_cast<std::uint64_t>(values.numel()));
    out.bytes({reinterpret_cast<const std::uint8_t*>(values.data_ptr<float>()), bytes});
  }
  write_file(path, file);
}

void read_checkpoint(const std::filesystem::path& path, Checkpoint& checkpoint) {
  const auto fail = [&](const char* code, const std::string& problem) {
    throw InputError(code, path.string() + ": " + problem);
  };
  const Bytes file = read_file(path);
  ByteReader in(file, "checkpoint");
  try {
    if (in.u32() != kCheckpointMagic || in.u32() != kCheckpointVersion)
      fail("checkpoint.damaged", "not a checkpoint of this version");
    const ByteView run = in.bytes(in.u32());
    if (std::string(run.begin(), run.end()) != checkpoint.run) {
      fail("checkpoint.other_run",
           "belongs to a training with other options: " + std::string(run.begin(), run.end()));
    }
    checkpoint.epochs_done = static_cast<int>(std::min(in.u32(), kMaxCheckpointEpochs));
    checkpoint.steps = static_cast<std::int64_t>(in.u64());
    if (in.u32() != checkpoint.tensors.size()) fail("checkpoint.damaged", "has another number of tensors");
    const at::NoGradGuard guard;
    for (at::Tensor& tensor : checkpoint.tensors) {
      if (in.u64() != static_cast<std::uint64_t>(tensor.numel()))
        fail("checkpoint.damaged", "a tensor has another size");
      const ByteView bytes = in.bytes(static_cast<std::size_t>(tensor.numel()) * sizeof(float));
      std::vector<float> values(static_cast<std::size_t>(tensor.numel()));
      std::memcpy(values.data(), bytes.data(), bytes.size());
      tensor.copy_(at::from_blob(values.data(), tensor.sizes(), at::TensorOptions().dtype(at::kFloat)));
    }
    in.expect_end();
  } catch (const InputError& error) {
    if (error.code() == "checkpoint.other_run") throw;
    fail("checkpoint.damaged", error.what());
  }
}

}  // namespace popcorn::compress
