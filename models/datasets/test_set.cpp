#include "models/datasets/test_set.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "models/datasets/dataset.h"
#include "models/datasets/image_reading.h"
#include "models/datasets/picture_folder.h"
#include "models/datasets/table_file.h"

namespace popcorn::datasets {

namespace {

constexpr char kFolder[] = "folder", kTable[] = "csv";

/// A network that was made with one of the known sets says so.
std::string default_dataset(const models::IntegerNetwork& network) {
  if (!network.encoding.columns.empty()) return kTable;
  for (const auto& [fact, value] : network.facts) {
    if (fact == "dataset" && (value == "mnist" || value == "cifar10")) return value;
  }
  const models::Shape& shape = network.encoding.shape;
  if (shape == models::Shape{1, 28, 28}) return "mnist";
  if (shape == models::Shape{3, 32, 32}) return "cifar10";
  return kFolder;
}

TestSet from_folder(const TestSetChoice& choice) {
  PictureFolder folder = test_pictures(choice.folder, choice.training_images);
  const std::size_t count = folder.pictures.size();
  if (choice.limit > 0) folder.pictures.resize(std::min(choice.limit, count));
  TestSet set;
  set.name =
      std::filesystem::absolute(choice.folder / "").lexically_normal().parent_path().filename().string();
  for (const LabelledPicture& picture : folder.pictures) {
    set.labels.push_back(picture.label);
    set.files.push_back(picture.file.filename().string());
  }
  const Orientation orientation = choice.ignore_orientation ? Orientation::ignore : Orientation::apply;
  set.image = [shared = std::make_shared<PictureFolder>(std::move(folder)), orientation](std::size_t i) {
    return read_image(shared->pictures.at(i).file, orientation);
  };
  return set;
}

TestSet from_table(const TestSetChoice& choice, const models::IntegerNetwork& network) {
  const LabelledTable table = read_labelled_table(choice.folder, choice.label);
  const std::vector<std::size_t> order = table_order(table.features.rows());
  const std::size_t skipped = std::min(order.size(), choice.training_images.value_or(0));
  const std::size_t most = choice.limit > 0 ? choice.limit : order.size();
  auto rows = std::make_shared<std::vector<std::vector<double>>>();
  TestSet set;
  set.name = choice.folder.filename().string();
  const std::vector<std::size_t> places =
      column_places(table.features, network.encoding, choice.folder.string());
  for (std::size_t k = skipped; k < order.size() && rows->size() < most; ++k) {
    const double* const row = table.features.values.data() + order[k] * table.features.columns;
    std::vector<double> values;
    for (const std::size_t place : places) values.push_back(row[place]);
    rows->push_back(std::move(values));
    set.labels.push_back(table.classes[order[k]]);
  }
  set.row = [rows](std::size_t i) { return rows->at(i); };
  return set;
}

TestSet from_dataset(const std::string& name, const TestSetChoice& choice) {
  auto data = std::make_shared<Dataset>(read_dataset(name, choice.folder, Split::test));
  if (choice.limit > 0) *data = data->first(choice.limit);
  TestSet set;
  set.name = name;
  set.labels = data->classes;
  set.image = [data](std::size_t i) { return interleaved(data->picture(i), data->shape); };
  return set;
}

}  // namespace

WideVector TestSet::input(const models::InputEncoding& encoding, std::size_t i) const {
  return row ? models::encode_row(encoding, row(i)) : models::encode_image(encoding, image(i));
}

TestSet open_test_set(const TestSetChoice& choice, const models::IntegerNetwork& network) {
  const std::string name = choice.dataset.empty() ? default_dataset(network) : choice.dataset;
  if (name == kTable) return from_table(choice, network);
  return name == kFolder ? from_folder(choice) : from_dataset(name, choice);
}

}  // namespace popcorn::datasets
