// The safetensors container, as far as `.popcorn` files use it, read from an untrusted byte string.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "base/wide_vector.h"
#include "models/file/popcorn_format.h"

namespace popcorn::models {

/// 8-byte little-endian header length, JSON header, tensor data. The tensors must lie one after the other,
/// aligned to their element size, and fill the data exactly. Keeps a view of `file`.
class SafetensorsReader {
 public:
  /// @throws InputError "model.truncated", "model.header", "model.tensor", "model.overlap",
  /// "model.unaligned", "model.trailing_bytes"; all but the first two name the tensor
  explicit SafetensorsReader(ByteView file);

  const Json& metadata() const noexcept { return metadata_; }
  /// An I8, I16 or I32 tensor of exactly this shape.
  std::vector<std::int32_t> take_weights(const std::string& name, const std::vector<std::int64_t>& shape);
  /// An I64 tensor [count], or a U64 tensor [count, limbs] of two's complement words.
  WideVector take_integers(const std::string& name, std::int64_t count);
  /// An F64 tensor [count].
  std::vector<double> take_doubles(const std::string& name, std::int64_t count);
  /// @throws InputError "model.unknown_tensor" when a tensor belongs to no node
  void expect_all_taken() const;

 private:
  struct Tensor {
    ElementType type = ElementType::i8;
    std::vector<std::int64_t> shape;
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  Tensor read_entry(const std::string& name, const Json& json, std::size_t data_size) const;
  void check_layout(std::size_t data_size) const;
  const Tensor& take(const std::string& name);
  ByteView data(const Tensor& tensor) const { return data_.subspan(tensor.begin, tensor.end - tensor.begin); }

  ByteView data_;
  Json metadata_;
  std::map<std::string, Tensor> tensors_;
  std::set<std::string> taken_;
};

}  // namespace popcorn::models
