// Keys of the metadata that carry what ONNX itself has no field for.
#pragma once

namespace popcorn::compress {

constexpr char kMetaName[] = "popcorn.name";
constexpr char kMetaDescription[] = "popcorn.description";
constexpr char kMetaEncoding[] = "popcorn.input.encoding";  ///< JSON of models::InputEncoding
constexpr char kMetaMean[] = "popcorn.input.mean";          ///< comma-separated, in units of 255
constexpr char kMetaDeviation[] = "popcorn.input.deviation";
constexpr char kMetaLabels[] = "popcorn.labels";  ///< JSON array of strings
constexpr char kMetaDataset[] = "popcorn.dataset";
constexpr char kMetaSoftmax[] = "popcorn.softmax";

}  // namespace popcorn::compress
