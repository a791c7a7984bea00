// The pieces that ONNX files are written from. Includes the ONNX messages.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "base/bytes.h"
#include "models/network/integer_network.h"

namespace popcorn::compress {

/// An empty model of operator set kWrittenOpset.
onnx::ModelProto start_model();
constexpr int kWrittenOpset = 13;

/// Same model, same bytes. @throws Error "onnx.write" above 2 GiB, the limit of the format
Bytes serialise_model(const onnx::ModelProto& model);

void add_metadata(onnx::ModelProto& model, const char* key, const std::string& value);
/// Numbers in the shortest form that reads back exactly, in any locale.
std::string comma_separated(const std::vector<double>& values);

/// Name, type and dimensions of a graph input or output; the batch dimension is open and comes first.
/// @param type onnx::TensorProto::FLOAT or DOUBLE
void describe_tensor(onnx::ValueInfoProto& value, const std::string& name,
                     const std::vector<std::int64_t>& dims, int type = onnx::TensorProto::FLOAT);

void add_attribute(onnx::NodeProto& node, const char* name, std::int64_t value);
void add_attribute(onnx::NodeProto& node, const char* name, const std::vector<std::int64_t>& values);
/// kernel_shape, strides, pads and, where the operator has them, dilations.
void add_window(onnx::NodeProto& node, const models::Window& window, bool dilations);

void add_initializer(onnx::GraphProto& graph, const std::string& name, const std::vector<std::int64_t>& dims,
                     const std::vector<float>& values);
void add_initializer(onnx::GraphProto& graph, const std::string& name, const std::vector<std::int64_t>& dims,
                     const std::vector<double>& values);
void add_initializer(onnx::GraphProto& graph, const std::string& name, const std::vector<std::int64_t>& dims,
                     const std::vector<std::int64_t>& values);

}  // namespace popcorn::compress
