// What the reader and the writer of `.popcorn` files agree on. Private to models/; docs/model-format.md is
// the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "models/network/integer_network.h"

namespace popcorn::models {

inline constexpr std::string_view kFormatName = "popcorn";
/// Written for a network without roundings and rings; such files stay what they always were.
inline constexpr unsigned kExactVersion = 1;
/// Adds `rescale`, `shifts`, `rectify` and `ring_bits`.
inline constexpr unsigned kRequantisedVersion = 2;
inline constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 26;
inline constexpr const char* kWeightSuffix = ".weight";
inline constexpr const char* kBiasSuffix = ".bias";
inline constexpr const char* kScaleSuffix = ".scale";

/// The element types of safetensors that occur.
enum class ElementType { i8, i16, i32, i64, u64, f64 };

constexpr std::size_t element_bytes(ElementType type) {
  switch (type) {
    case ElementType::i8:
      return 1;
    case ElementType::i16:
      return 2;
    case ElementType::i32:
      return 4;
    default:
      return 8;
  }
}

constexpr std::string_view element_name(ElementType type) {
  switch (type) {
    case ElementType::i8:
      return "I8";
    case ElementType::i16:
      return "I16";
    case ElementType::i32:
      return "I32";
    case ElementType::i64:
      return "I64";
    case ElementType::u64:
      return "U64";
    default:
      return "F64";
  }
}

constexpr bool takes_window(NodeKind kind) {
  return kind == NodeKind::conv2d || kind == NodeKind::sum_pool2d || kind == NodeKind::max_pool2d;
}
constexpr bool takes_weights(NodeKind kind) {
  return kind == NodeKind::dense || kind == NodeKind::conv2d;
}
constexpr bool takes_multipliers(NodeKind kind) {
  return kind == NodeKind::add || kind == NodeKind::concat;
}

constexpr bool takes_ring(NodeKind kind) {
  return takes_weights(kind) || takes_multipliers(kind) || kind == NodeKind::sum_pool2d ||
         kind == NodeKind::rescale;
}

}  // namespace popcorn::models
