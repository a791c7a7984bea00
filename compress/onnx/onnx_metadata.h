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
/// Of integer networks only: the config_id of the network, "true" when every number in it is exact, and the
/// real value of one unit of the output, comma-separated, one or one per channel.
constexpr char kMetaInteger[] = "popcorn.integer";
constexpr char kMetaExact[] = "popcorn.integer.exact";
constexpr char kMetaScale[] = "popcorn.output.scale";

}  // namespace popcorn::compress
