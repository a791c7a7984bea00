#include "compress/compression_checkpoint.h"

#include <bit>
#include <iomanip>
#include <limits>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

namespace popcorn::compress {

namespace {

constexpr std::uint32_t kMagic = 0x53434350;  // "PCCS"
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kMaxCodebook = 1024;

void put(ByteWriter& out, double value) {
  out.u64(std::bit_cast<std::uint64_t>(value));
}

void put(ByteWriter& out, const std::string& text) {
  out.u32(static_cast<std::uint32_t>(text.size()));
  out.bytes(as_bytes(text));
}

template <typename T>
void put(ByteWriter& out, const std::vector<T>& values) {
  out.u64(values.size());
  out.bytes({reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)});
}

double get_double(ByteReader& in) {
  return std::bit_cast<double>(in.u64());
}

std::string get_text(ByteReader& in) {
  const ByteView bytes = in.bytes(in.u32());
  return {bytes.begin(), bytes.end()};
}

[[noreturn]] void damaged(const std::string& problem) {
  throw InputError("checkpoint.damaged", problem);
}

template <typename T>
void get(ByteReader& in, std::vector<T>& values) {
  const std::uint64_t count = in.u64();
  if (count > in.remaining() / sizeof(T)) damaged("a list is longer than the file");
  values.resize(static_cast<std::size_t>(count));
  const ByteView bytes = in.bytes(values.size() * sizeof(T));
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::uint8_t*>(values.data()));
}

template <typename T>
void get_same(ByteReader& in, std::vector<T>& values, const std::string& node) {
  const std::size_t expected = values.size();
  get(in, values);
  if (values.size() != expected) damaged("node " + node + " has another number of parameters");
}

void put_node(ByteWriter& out, const FloatNode& node) {
  put(out, node.name);
  for (const auto* values : {&node.weights, &node.bias, &node.gamma, &node.beta, &node.mean, &node.variance})
    put(out, *values);
  put(out, node.mask);
  out.u32(static_cast<std::uint32_t>(node.grid.levels));
  put(out, node.grid.codebook);
  put(out, node.steps);
  put(out, node.gain);
  put(out, static_cast<double>(node.upper));
}

void get_node(ByteReader& in, FloatNode& node) {
  if (get_text(in) != node.name) damaged("node " + node.name + " is missing");
  for (auto* values : {&node.weights, &node.bias, &node.gamma, &node.beta, &node.mean, &node.variance})
    get_same(in, *values, node.name);
  get(in, node.mask);
  if (!node.mask.empty() && node.mask.size() != node.weights.size())
    damaged("node " + node.name + " has a mask of another size");
  node.grid.levels = static_cast<std::int32_t>(in.u32());
  get(in, node.grid.codebook);
  if (node.grid.levels < 0 || node.grid.codebook.size() > kMaxCodebook)
    damaged("node " + node.name + " has an impossible grid");
  get(in, node.steps);
  if (!node.steps.empty() && node.steps.size() != static_cast<std::size_t>(node.shape.channels))
    damaged("node " + node.name + " has another number of steps");
  node.gain = get_double(in);
  node.upper = static_cast<float>(get_double(in));
}

void put_point(ByteWriter& out, const VisitedPoint& point) {
  put(out, point.phase);
  out.u32(static_cast<std::uint32_t>(point.epoch));
  put(out, point.density);
  out.u32(static_cast<std::uint32_t>(point.bits));
  put(out, point.accuracy);
}

VisitedPoint get_point(ByteReader& in) {
  VisitedPoint point;
  point.phase = get_text(in);
  point.epoch = static_cast<int>(in.u32());
  point.density = get_double(in);
  point.bits = static_cast<int>(in.u32());
  point.accuracy = get_double(in);
  return point;
}

void get_all(ByteReader& in, CompressionCheckpoint& checkpoint) {
  using Phase = CompressionCheckpoint::Phase;
  const std::uint8_t phase = in.u8();
  if (phase > static_cast<std::uint8_t>(Phase::quantised)) damaged("names an unknown phase");
  checkpoint.phase = static_cast<Phase>(phase);
  const std::uint32_t points = in.u32();
  checkpoint.points.clear();
  for (std::uint32_t k = 0; k < points; ++k) checkpoint.points.push_back(get_point(in));
  checkpoint.pruned_accuracy = get_double(in);
  if (checkpoint.phase != Phase::pruning) {
    get_same(in, checkpoint.graph.mean, "input");
    get_same(in, checkpoint.graph.deviation, "input");
    get(in, checkpoint.graph.class_scale);
    if (!checkpoint.graph.class_scale.empty() &&
        checkpoint.graph.class_scale.size() !=
            static_cast<std::size_t>(checkpoint.graph.output().shape.size()))
      damaged("a scale for another number of classes");
    for (FloatNode& node : checkpoint.graph.nodes) get_node(in, node);
  }
  in.expect_end();
}

void describe(std::ostream& out, const Augmentation& a) {
  out << a.shift << ' ' << a.rotation << ' ' << a.scale << ' ' << a.shear << ' ' << a.elastic << ' '
      << a.mirror << ' ' << a.erase << ' ';
}

void describe(std::ostream& out, const TrainingOptions& t) {
  out << "training " << t.epochs << ' ' << t.batch << ' ' << t.learning_rate << ' ' << t.warm_up << ' '
      << t.weight_decay << ' ' << t.grid_rate << ' ' << t.label_smoothing << ' ' << t.distillation << ' '
      << t.temperature << ' ' << static_cast<int>(t.optimizer) << ' ' << t.seed << ' ' << t.threads << ' '
      << t.mixed_precision << ' ';
  describe(out, t.augmentation);
}

void describe(std::ostream& out, const CompressionOptions& o) {
  out << "filters " << o.filters << " pruning " << o.pruning.sparsity << ' '
      << static_cast<int>(o.pruning.scope) << ' ' << o.pruning.cost_exponent << ' ';
  for (const LayerSparsity& layer : o.pruning.layers) out << layer.pattern << '=' << layer.sparsity << ' ';
  out << "grid " << o.quantisation.bits << ' ' << static_cast<int>(o.quantisation.kind) << ' ';
  for (const LayerBits& layer : o.quantisation.layers) out << layer.pattern << '=' << layer.bits << ' ';
  for (const LayerGrid& layer : o.quantisation.kinds)
    out << layer.pattern << '=' << static_cast<int>(layer.kind) << ' ';
  if (o.quantisation.activation_bits > 0) out << "activations " << o.quantisation.activation_bits << ' ';
  for (const LayerBits& layer : o.quantisation.activations) out << layer.pattern << '=' << layer.bits << ' ';
  if (o.quantisation.class_scales) out << "class scales ";
  describe(out, o.pruning_training);
  describe(out, o.quantisation_training);
  out << "ramp " << o.ramp << " calibration " << o.calibration_images << " target "
      << o.target_cost.value_or(std::numeric_limits<std::uint64_t>::max());
  if (o.target_bytes) out << " bytes " << *o.target_bytes;
}

}  // namespace

std::string compression_run(const FloatGraph& graph, const Dataset& training,
                            const CompressionOptions& options) {
  std::ostringstream words;
  words.imbue(std::locale::classic());
  words << std::setprecision(17) << graph.name << ' ';
  describe(words, options);
  Bytes all;
  ByteWriter out(all);
  put(out, words.str());
  put(out, graph.mean);
  put(out, graph.deviation);
  for (const FloatNode& node : graph.nodes) put_node(out, node);
  out.bytes(sha256(training.pixels));
  put(out, training.classes);
  return to_hex(sha256(all));
}

void write_compression_checkpoint(const std::filesystem::path& path,
                                  const CompressionCheckpoint& checkpoint) {
  Bytes file;
  ByteWriter out(file);
  out.u32(kMagic);
  out.u32(kVersion);
  put(out, checkpoint.run);
  out.u8(static_cast<std::uint8_t>(checkpoint.phase));
  out.u32(static_cast<std::uint32_t>(checkpoint.points.size()));
  for (const VisitedPoint& point : checkpoint.points) put_point(out, point);
  put(out, checkpoint.pruned_accuracy);
  if (checkpoint.phase != CompressionCheckpoint::Phase::pruning) {
    put(out, checkpoint.graph.mean);
    put(out, checkpoint.graph.deviation);
    put(out, checkpoint.graph.class_scale);
    for (const FloatNode& node : checkpoint.graph.nodes) put_node(out, node);
  }
  write_file(path, file);
}

void read_compression_checkpoint(const std::filesystem::path& path, CompressionCheckpoint& checkpoint) {
  const Bytes file = read_file(path);
  try {
    ByteReader in(file, "checkpoint");
    if (in.u32() != kMagic || in.u32() != kVersion) damaged("not a checkpoint of this version");
    if (get_text(in) != checkpoint.run)
      throw InputError("checkpoint.other_run",
                       "belongs to a compression of another network, with other options or pictures");
    get_all(in, checkpoint);
  } catch (const InputError& error) {
    throw InputError(error.code() == "checkpoint.other_run" ? error.code() : "checkpoint.damaged",
                     path.string() + ": " + error.what());
  }
}

}  // namespace popcorn::compress
