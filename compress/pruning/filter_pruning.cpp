#include "compress/pruning/filter_pruning.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace popcorn::compress {

namespace {

/// A layer that reads the filters: each is `width` consecutive weights of a row.
struct Reader {
  std::size_t node = 0;
  std::size_t width = 1;
};

/// Collects the layers that read a node, `pixels` values a channel; false when something else reads it.
bool find_readers(const FloatGraph& graph, const std::vector<std::vector<std::size_t>>& readers,
                  std::size_t index, std::size_t pixels, std::vector<Reader>& found) {
  return !readers[index].empty() &&
         std::all_of(readers[index].begin(), readers[index].end(), [&](std::size_t next) {
           const FloatNode& node = graph.nodes[next];
           const models::Shape& shape = graph.nodes[index].shape;
           switch (node.kind) {
             case FloatKind::relu:
             case FloatKind::clip:
             case FloatKind::max_pool2d:
             case FloatKind::average_pool2d:
               return find_readers(graph, readers, next, pixels, found);
             case FloatKind::flatten:
               return find_readers(graph, readers, next,
                                   pixels * static_cast<std::size_t>(shape.height * shape.width), found);
             case FloatKind::dense:
               found.push_back({next, pixels});
               return !node.grid.active();
             case FloatKind::conv2d:
               found.push_back(
                   {next, static_cast<std::size_t>(node.window.kernel_height * node.window.kernel_width)});
               return node.groups == 1 && !node.grid.active();
             default:
               return false;
           }
         });
}

/// The filters that stay, in order.
std::vector<std::size_t> strongest(const FloatNode& node, std::size_t count) {
  const std::size_t outputs = node.bias.size(), row = node.weights.size() / outputs;
  std::vector<double> strength(outputs);
  for (std::size_t i = 0; i < node.weights.size(); ++i) {
    const auto w = static_cast<double>(node.effective_weight(i));
    strength[i / row] += w * w;
  }
  std::vector<std::size_t> order(outputs);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return strength[a] > strength[b]; });
  order.resize(count);
  std::sort(order.begin(), order.end());
  return order;
}

/// Keeps the blocks of `width` values with these numbers in every row of `row` values.
template <typename T>
void keep_blocks(std::vector<T>& values, std::size_t row, std::size_t width,
                 const std::vector<std::size_t>& blocks) {
  std::vector<T> result;
  for (std::size_t first = 0; first < values.size(); first += row) {
    for (const std::size_t block : blocks) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(first + block * width);
      result.insert(result.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
    }
  }
  values = std::move(result);
}

void keep_outputs(FloatNode& node, const std::vector<std::size_t>& kept) {
  const std::size_t all = node.weights.size(), row = all / node.bias.size();
  keep_blocks(node.weights, all, row, kept);
  if (!node.mask.empty()) keep_blocks(node.mask, all, row, kept);
  keep_blocks(node.bias, node.bias.size(), 1, kept);
}

void keep_inputs(FloatNode& node, std::size_t width, const std::vector<std::size_t>& kept) {
  const std::size_t row = node.weights.size() / node.bias.size();
  keep_blocks(node.weights, row, width, kept);
  if (!node.mask.empty()) keep_blocks(node.mask, row, width, kept);
}

}  // namespace

void remove_filters(FloatGraph& graph, double share) {
  if (!(share >= 0 && share < 1)) {
    throw UsageError("pruning.filters", "the share of filters must be at least 0 and below 1");
  }
  const auto readers = graph.readers();
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    FloatNode& node = graph.nodes[i];
    if (!node.has_weights() || node.groups != 1 || node.grid.active()) continue;
    const std::size_t outputs = node.bias.size();
    const auto removed = static_cast<std::size_t>(share * static_cast<double>(outputs));
    std::vector<Reader> found;
    if (removed == 0 || !find_readers(graph, readers, i, 1, found)) continue;
    const std::vector<std::size_t> kept = strongest(node, outputs - removed);
    keep_outputs(node, kept);
    for (const Reader& reader : found) keep_inputs(graph.nodes[reader.node], reader.width, kept);
  }
  graph.finish();
}

}  // namespace popcorn::compress
