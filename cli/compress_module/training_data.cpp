#include "cli/compress_module/training_data.h"

#include <algorithm>

#include "base/error.h"
#include "cli/progress.h"
#include "datasets/picture_folder.h"

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
  TrainingData data = name == "folder" ? from_folder(choice, graph) : from_known_set(name, choice, graph);
  data.facts = {{"dataset", data.name},
                {"training_images", std::to_string(data.training.count())},
                {"test_images", std::to_string(data.test.count())}};
  return data;
}

}  // namespace popcorn::cli
