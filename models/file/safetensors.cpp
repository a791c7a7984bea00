#include "models/file/safetensors.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "base/error.h"

namespace popcorn::models {

namespace {

constexpr std::size_t kMaxDimensions = 4;

std::optional<ElementType> element_type(const std::string& name) {
  for (const ElementType type : {ElementType::i8, ElementType::i16, ElementType::i32, ElementType::i64,
                                 ElementType::u64, ElementType::f64}) {
    if (name == element_name(type)) return type;
  }
  return std::nullopt;
}

std::string to_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return "[" + text + "]";
}

[[noreturn]] void fail(const std::string& code, const std::string& tensor, const std::string& problem) {
  throw InputError(code, "tensor '" + printable(tensor) + "': " + problem);
}

/// Bytes of a tensor, or nothing when they exceed `most`; never overflows.
std::optional<std::size_t> byte_count(ElementType type, const std::vector<std::int64_t>& shape,
                                      std::size_t most) {
  std::size_t bytes = element_bytes(type);
  for (const std::int64_t extent : shape) {
    if (static_cast<std::size_t>(extent) > most / bytes) return std::nullopt;
    bytes *= static_cast<std::size_t>(extent);
  }
  return bytes;
}

ByteView header_of(ByteView file) {
  if (file.size() < 8)
    throw InputError("model.truncated", "the file is shorter than its 8-byte header length");
  const std::uint64_t size = ByteReader(file, "model").u64();
  if (size > kMaxHeaderBytes) {
    throw InputError("model.header", "the header length " + std::to_string(size) + " exceeds " +
                                         std::to_string(kMaxHeaderBytes) +
                                         " bytes; is this a .popcorn file?");
  }
  if (size > file.size() - 8) throw InputError("model.truncated", "the file ends within its header");
  if (size % 8 != 0) throw InputError("model.unaligned", "the header's length is no multiple of 8");
  const ByteView header = file.subspan(8, static_cast<std::size_t>(size));
  if (header.empty() || header.front() != '{')
    throw InputError("model.header", "the header is no JSON object");
  return header;
}

}  // namespace

SafetensorsReader::SafetensorsReader(ByteView file) {
  const ByteView header = header_of(file);
  data_ = file.subspan(8 + header.size());
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  const Json json = parse_json(text, "the header", "model.header");
  if (!json.contains("__metadata__")) throw InputError("model.metadata", "the header has no __metadata__");
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      metadata_ = entry;
    } else {
      tensors_.emplace(name, read_entry(name, entry, data_.size()));
    }
  }
  check_layout(data_.size());
}

SafetensorsReader::Tensor SafetensorsReader::read_entry(const std::string& name, const Json& json,
                                                        std::size_t data_size) const {
  const JsonFields fields(json, "tensor '" + printable(name) + "'", "model.tensor",
                          {"dtype", "shape", "data_offsets"});
  const std::optional<ElementType> type = element_type(fields.text("dtype"));
  if (!type) fields.fail("dtype", "one of I8, I16, I32, I64, U64, F64");
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto offsets = fields.integers("data_offsets", 2, 2, 0, kMost);
  Tensor tensor{*type, fields.integers("shape", 1, kMaxDimensions, 1, kMost),
                static_cast<std::size_t>(offsets[0]), static_cast<std::size_t>(offsets[1])};
  if (tensor.begin > tensor.end) fail("model.tensor", name, "its data ends before it begins");
  if (tensor.end > data_size) fail("model.truncated", name, "its data lies beyond the end of the file");
  if (byte_count(tensor.type, tensor.shape, data_size) != tensor.end - tensor.begin) {
    fail("model.tensor", name,
         "its data has " + std::to_string(tensor.end - tensor.begin) + " bytes, which is not what shape " +
             to_text(tensor.shape) + " needs");
  }
  if (tensor.begin % element_bytes(tensor.type) != 0) {
    fail("model.unaligned", name, "its data is not aligned to its element size");
  }
  return tensor;
}

void SafetensorsReader::check_layout(std::size_t data_size) const {
  std::vector<const std::pair<const std::string, Tensor>*> order;
  for (const auto& entry : tensors_) order.push_back(&entry);
  std::ranges::sort(order, {}, [](const auto* entry) { return entry->second.begin; });
  std::size_t place = 0;
  for (const auto* entry : order) {
    const Tensor& tensor = entry->second;
    if (tensor.begin < place) fail("model.overlap", entry->first, "its data overlaps another tensor's");
    if (tensor.begin > place) fail("model.gap", entry->first, "there is a gap before its data");
    place = tensor.end;
  }
  if (place != data_size) {
    throw InputError("model.trailing_bytes",
                     std::to_string(data_size - place) + " bytes after the last tensor belong to nothing");
  }
}

const SafetensorsReader::Tensor& SafetensorsReader::take(const std::string& name) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail("model.missing_tensor", name, "is missing");
  taken_.insert(name);
  return found->second;
}

std::vector<std::int32_t> SafetensorsReader::take_weights(const std::string& name,
                                                          const std::vector<std::int64_t>& shape) {
  const Tensor& tensor = take(name);
  if (tensor.shape != shape) {
    fail("model.shape_mismatch", name,
         "has shape " + to_text(tensor.shape) + ", its node needs " + to_text(shape));
  }
  if (element_bytes(tensor.type) > 4) fail("model.tensor", name, "weights must be I8, I16 or I32");
  const ByteView bytes = data(tensor);
  ByteReader reader(bytes, "model");
  std::vector<std::int32_t> weights(bytes.size() / element_bytes(tensor.type));
  for (std::int32_t& weight : weights) {
    switch (tensor.type) {
      case ElementType::i8:
        weight = (reader.u8() ^ 0x80) - 0x80;  // sign-extended
        break;
      case ElementType::i16:
        weight = (reader.u16() ^ 0x8000) - 0x8000;
        break;
      default:
        weight = static_cast<std::int32_t>(reader.u32());
        break;
    }
  }
  return weights;
}

WideVector SafetensorsReader::take_integers(const std::string& name, std::int64_t count) {
  const Tensor& tensor = take(name);
  const bool narrow = tensor.type == ElementType::i64 && tensor.shape.size() == 1;
  const bool wide = tensor.type == ElementType::u64 && tensor.shape.size() == 2;
  if ((!narrow && !wide) || tensor.shape.front() != count) {
    fail("model.shape_mismatch", name,
         "must be I64 of shape [" + std::to_string(count) + "] or U64 of shape [" + std::to_string(count) +
             ", words], found " + to_text(tensor.shape));
  }
  const std::size_t limbs = wide ? static_cast<std::size_t>(tensor.shape.back()) : 1;
  if (limbs > WideVector::limbs_for_bits(Limits::kValueBits)) {
    fail("model.value_too_large", name,
         "its integers are wider than " + std::to_string(Limits::kValueBits) + " bits");
  }
  WideVector values(static_cast<std::size_t>(count), limbs);
  ByteReader reader(data(tensor), "model");
  for (std::uint64_t& word : values.words()) word = reader.u64();
  return values;
}

std::vector<double> SafetensorsReader::take_doubles(const std::string& name, std::int64_t count) {
  const Tensor& tensor = take(name);
  if (tensor.type != ElementType::f64 || tensor.shape != std::vector<std::int64_t>{count}) {
    fail("model.shape_mismatch", name,
         "must be F64 of shape [" + std::to_string(count) + "], found " + to_text(tensor.shape));
  }
  std::vector<double> values(static_cast<std::size_t>(count));
  ByteReader reader(data(tensor), "model");
  for (double& value : values) value = std::bit_cast<double>(reader.u64());
  return values;
}

void SafetensorsReader::expect_all_taken() const {
  for (const auto& [name, tensor] : tensors_) {
    if (!taken_.contains(name)) fail("model.unknown_tensor", name, "belongs to no node of the graph");
  }
}

}  // namespace popcorn::models
