#include "cli/compress_module/training_data.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "cli/terminal/progress.h"
#include "models/datasets/picture_folder.h"

namespace popcorn::cli {

namespace {

using datasets::LabelledPicture;

void check_classes(const datasets::PictureFolder& folder, const compress::FloatGraph& graph) {
  const std::int64_t outputs = graph.output().shape.size();
  for (const LabelledPicture& picture : folder.pictures) {
    if (picture.label >= outputs) {
      throw InputError("dataset.class", picture.file.string() + " is of class " +
                                            std::to_string(picture.label) + ", the network has " +
                                            std::to_string(outputs) + " outputs, numbered from 0");
    }
  }
}

TrainingData from_folder(const DataChoice& choice, const compress::FloatGraph& graph) {
  datasets::PictureSplit split = datasets::split_pictures(choice.folder, choice.training_images);
  std::vector<LabelledPicture>& tests = split.test.pictures;
  if (choice.test_images) tests.resize(std::min(tests.size(), *choice.test_images));
  TrainingData data;
  data.name =
      std::filesystem::absolute(choice.folder / "").lexically_normal().parent_path().filename().string();
  const std::size_t total = split.training.pictures.size() + tests.size();
  std::size_t before = 0;
  Progress progress("reading pictures");
  for (const auto& [folder, set] : {std::pair{&split.training, &data.training}, {&split.test, &data.test}}) {
    check_classes(*folder, graph);
    *set = datasets::load_pictures(
        folder->pictures, graph.encoding, [&](std::size_t done) { progress.update(before + done, total); },
        choice.ignore_orientation ? datasets::Orientation::ignore : datasets::Orientation::apply);
    before += set->count();
  }
  data.labels = std::move(split.test.labels);
  return data;
}

std::size_t training_rows(const DataChoice& choice, std::size_t rows) {
  const std::size_t count = choice.training_images.value_or(rows * 4 / 5);
  if (count == 0 || count >= rows) {
    throw UsageError("dataset.division",
                     "of " + std::to_string(rows) + " rows " + std::to_string(count) +
                         " would be for training; some must be left for measuring (--training-images)");
  }
  return count;
}

TrainingData from_table(const DataChoice& choice, const compress::FloatGraph& graph) {
  const datasets::LabelledTable table = datasets::read_labelled_table(choice.folder, choice.label);
  const std::vector<std::size_t> places =
      datasets::column_places(table.features, graph.encoding, choice.folder.string());
  const std::int64_t outputs = graph.output().shape.size();
  for (const std::uint16_t label : table.classes) {
    if (label >= outputs) {
      throw InputError("dataset.class", choice.folder.string() + " has a row of class " +
                                            std::to_string(label) + ", the network has " +
                                            std::to_string(outputs) + " outputs, numbered from 0");
    }
  }
  const std::vector<std::size_t> order = datasets::table_order(table.features.rows());
  const std::size_t training = training_rows(choice, order.size());
  TrainingData data;
  data.name = choice.folder.filename().string();
  data.labels = table.labels;
  for (std::size_t k = 0; k < order.size(); ++k) {
    compress::Dataset& set = k < training ? data.training : data.test;
    if (k >= training && choice.test_images && set.classes.size() >= *choice.test_images) break;
    std::vector<double> values;
    for (const std::size_t place : places)
      values.push_back(table.features.values[order[k] * table.features.columns + place]);
    const std::vector<std::uint8_t> scaled = models::scale_row(graph.encoding, values);
    set.shape = graph.input().shape;
    set.pixels.insert(set.pixels.end(), scaled.begin(), scaled.end());
    set.classes.push_back(table.classes[order[k]]);
  }
  return data;
}

/// The known sets are stored in the order red, green, blue.
void swap_red_and_blue(compress::Dataset& set) {
  const auto plane = static_cast<std::ptrdiff_t>(set.shape.height * set.shape.width);
  for (auto at = set.pixels.begin(); at != set.pixels.end(); at += 3 * plane)
    std::swap_ranges(at, at + plane, at + 2 * plane);
}

TrainingData from_known_set(const std::string& name, const DataChoice& choice,
                            const compress::FloatGraph& graph) {
  TrainingData data;
  data.name = name;
  data.training = compress::read_dataset(name, choice.folder, compress::Split::train);
  data.test = compress::read_dataset(name, choice.folder, compress::Split::test);
  if (choice.training_images) data.training = data.training.first(*choice.training_images);
  if (choice.test_images) data.test = data.test.first(*choice.test_images);
  for (compress::Dataset* set : {&data.training, &data.test}) {
    if (graph.encoding.color == "bgr" && set->shape.channels == 3) swap_red_and_blue(*set);
  }
  return data;
}

}  // namespace

TrainingData read_training_data(const DataChoice& choice, const compress::FloatGraph& graph) {
  const std::string name = !choice.dataset.empty() ? choice.dataset
                           : graph.dataset.empty() ? "mnist"
                                                   : graph.dataset;
  TrainingData data = name == "csv"      ? from_table(choice, graph)
                      : name == "folder" ? from_folder(choice, graph)
                                         : from_known_set(name, choice, graph);
  data.facts = {{"dataset", data.name},
                {"training_images", std::to_string(data.training.count())},
                {"test_images", std::to_string(data.test.count())}};
  return data;
}

std::vector<models::InputColumn> columns_of(const datasets::LabelledTable& table, const DataChoice& choice) {
  const datasets::NumberTable& features = table.features;
  const std::vector<std::size_t> order = datasets::table_order(features.rows());
  const std::size_t training = training_rows(choice, order.size());
  std::vector<models::InputColumn> columns(features.columns);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    models::InputColumn& column = columns[c];
    if (!features.names.empty()) column.name = features.names[c];
    column.low = column.high = features.values[order[0] * features.columns + c];
    for (std::size_t k = 1; k < training; ++k) {
      const double value = features.values[order[k] * features.columns + c];
      column.low = std::min(column.low, value);
      column.high = std::max(column.high, value);
    }
    if (!(column.low < column.high)) column.high = column.low + std::max(1.0, std::abs(column.low) * 1e-6);
  }
  return columns;
}

void describe_columns(const DataChoice& choice, compress::FloatGraph& graph) {
  if (!graph.encoding.columns.empty()) return;
  const datasets::LabelledTable table = datasets::read_labelled_table(choice.folder, choice.label);
  const auto inputs = static_cast<std::size_t>(graph.input().shape.size());
  if (table.features.columns != inputs) {
    throw InputError("table.columns", choice.folder.string() + " has " +
                                          std::to_string(table.features.columns) +
                                          " columns beside its label, the network takes " +
                                          std::to_string(inputs) + " numbers");
  }
  graph.encoding.columns = columns_of(table, choice);
  for (std::size_t c = 0; c < inputs; ++c) {
    const models::InputColumn& column = graph.encoding.columns[c];
    graph.deviation[c] = 1 / (column.high - column.low);
    graph.mean[c] = -column.low * graph.deviation[c];
  }
}

}  // namespace popcorn::cli
