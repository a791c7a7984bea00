#include "models/datasets/picture_folder.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <map>
#include <set>

#include "base/error.h"
#include "base/sha256.h"
#include "models/datasets/image_reading.h"
#include "models/datasets/label_table.h"

namespace popcorn::datasets {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxClasses = std::size_t{1} << 16;
constexpr char kLabelsFile[] = "labels.txt";

bool is_picture(const fs::path& file) {
  std::string extension = file.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  constexpr std::array<const char*, 5> kKnown{".png", ".jpg", ".jpeg", ".pgm", ".ppm"};
  return std::ranges::find(kKnown, extension) != kKnown.end();
}

bool is_hidden(const fs::path& file) {
  return file.filename().string().starts_with('.');
}

[[noreturn]] void fail(const fs::path& path, const std::string& problem) {
  throw InputError("dataset.folder", path.string() + ": " + problem);
}

/// A picture whose class is still a text.
struct Found {
  fs::path file;
  std::string name, label;
};

std::vector<Found> from_table(const fs::path& table) {
  std::vector<Found> found;
  for (TableRow& row : read_table(table))
    found.push_back({table.parent_path() / row.file, row.file, row.label});
  return found;
}

void find_below(const fs::path& folder, const std::string& label, const fs::path& root,
                std::vector<Found>& found) {
  for (fs::recursive_directory_iterator at(folder), end; at != end; ++at) {
    if (is_hidden(at->path())) {
      if (at->is_directory()) at.disable_recursion_pending();
    } else if (at->is_regular_file() && is_picture(at->path())) {
      found.push_back({at->path(), at->path().lexically_relative(root).generic_string(), label});
    }
  }
}

std::vector<Found> from_sub_folders(const fs::path& root) {
  std::vector<Found> found;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_directory() && !is_hidden(entry.path()))
      find_below(entry.path(), entry.path().filename().string(), root, found);
  }
  return found;
}

std::vector<Found> from_file_names(const fs::path& root) {
  std::vector<Found> found;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (!entry.is_regular_file() || is_hidden(entry.path()) || !is_picture(entry.path())) continue;
    const std::string name = entry.path().filename().string();
    const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    if (digits == 0 || digits == name.size() || name[digits] != '_') {
      fail(entry.path(), "the name does not begin with a class number and _ (012_cat.jpg), and " +
                             root.string() +
                             " has neither labels.csv, labels.tsv nor a sub-folder for each class");
    }
    found.push_back({entry.path(), name, name.substr(0, digits)});
  }
  return found;
}

struct Listing {
  fs::path root;
  std::vector<Found> found;
  bool numbered = false;  ///< labels are numbers
};

bool all_numbers(const std::vector<Found>& found) {
  return std::ranges::all_of(
      found, [](const Found& f) { return f.label.find_first_not_of("0123456789") == std::string::npos; });
}

Listing list(const fs::path& path) {
  std::error_code ignored;
  const bool is_table = path.extension() == ".csv" || path.extension() == ".tsv";
  if (is_table && fs::is_regular_file(path, ignored)) {
    Listing result{path.parent_path(), from_table(path)};
    result.numbered = all_numbers(result.found);
    return result;
  }
  if (!fs::is_directory(path, ignored))
    throw IoError("dataset.missing",
                  path.string() + " is neither a folder nor a table (.csv, .tsv) of pictures");
  for (const char* table : {"labels.csv", "labels.tsv"}) {
    if (fs::is_regular_file(path / table, ignored)) {
      Listing result = list(path / table);
      result.root = path;
      return result;
    }
  }
  Listing result{path, from_sub_folders(path)};
  if (result.found.empty()) {
    result.found = from_file_names(path);
    result.numbered = true;
  }
  if (result.found.empty()) fail(path, "there are no pictures (.png, .jpg, .jpeg, .pgm, .ppm)");
  return result;
}

std::vector<ClassName> known_classes(const fs::path& root) {
  std::error_code ignored;
  for (const fs::path& place : {root, fs::absolute(root).lexically_normal().parent_path()}) {
    if (fs::is_regular_file(place / kLabelsFile, ignored)) return read_labels(place / kLabelsFile);
  }
  return {};
}

/// Class number by every text that may stand for it.
std::map<std::string, std::size_t> numbers_of(const std::vector<ClassName>& classes) {
  std::map<std::string, std::size_t> numbers;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    for (const std::string& text : classes[i].identifiers) numbers.emplace(text, i);
  }
  return numbers;
}

std::vector<ClassName> sorted_classes(const std::vector<Found>& found) {
  std::set<std::string> names;
  for (const Found& f : found) names.insert(f.label);
  std::vector<ClassName> classes;
  for (const std::string& name : names) classes.push_back({name, {name}});
  return classes;
}

std::size_t parse_number(const Found& found) {
  std::size_t number = kMaxClasses;
  const char* const end = found.label.data() + found.label.size();
  const auto parsed = std::from_chars(found.label.data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || number >= kMaxClasses)
    fail(found.file, "class " + found.label + " is not below " + std::to_string(kMaxClasses));
  return number;
}

/// Fills in labels and class names.
void number_classes(const Listing& listing, PictureFolder& folder) {
  std::vector<ClassName> classes = known_classes(listing.root);
  const bool from_file = !classes.empty();
  if (!from_file && !listing.numbered) classes = sorted_classes(listing.found);
  if (classes.size() > kMaxClasses)
    fail(folder.path, "more than " + std::to_string(kMaxClasses) + " classes");
  const std::map<std::string, std::size_t> numbers = numbers_of(classes);
  for (const Found& found : listing.found) {
    std::size_t label = 0;
    if (listing.numbered) {
      label = parse_number(found);
      if (from_file && label >= classes.size())
        fail(found.file, "is of class " + found.label + ", " + kLabelsFile + " names " +
                             std::to_string(classes.size()) + " classes");
    } else {
      const auto known = numbers.find(found.label);
      if (known == numbers.end()) fail(found.file, "class \"" + found.label + "\" is not in " + kLabelsFile);
      label = known->second;
    }
    folder.pictures.push_back({found.file, found.name, static_cast<std::uint16_t>(label)});
  }
  for (ClassName& c : classes) folder.labels.push_back(std::move(c.name));
}

void mix(std::vector<LabelledPicture>& pictures) {
  std::vector<std::pair<Sha256, LabelledPicture>> keyed;
  for (LabelledPicture& picture : pictures) {
    const Sha256 key = sha256(as_bytes(picture.name));
    keyed.emplace_back(key, std::move(picture));
  }
  std::ranges::sort(keyed, [](const auto& a, const auto& b) {
    return std::tie(a.first, a.second.name) < std::tie(b.first, b.second.name);
  });
  for (std::size_t i = 0; i < keyed.size(); ++i) pictures[i] = std::move(keyed[i].second);
}

/// The sub-folders of a set that is divided already.
std::optional<std::pair<fs::path, fs::path>> own_division(const fs::path& path) {
  std::error_code ignored;
  for (const char* test : {"test", "val"}) {
    if (fs::is_directory(path / "train", ignored) && fs::is_directory(path / test, ignored))
      return std::pair{path / "train", path / test};
  }
  return std::nullopt;
}

}  // namespace

PictureFolder list_pictures(const fs::path& path) {
  PictureFolder folder;
  folder.path = path;
  try {
    number_classes(list(path), folder);
  } catch (const fs::filesystem_error& error) {
    throw IoError("dataset.missing", error.path1().string() + ": " + error.code().message());
  }
  mix(folder.pictures);
  return folder;
}

PictureSplit split_pictures(const fs::path& path, std::optional<std::size_t> training) {
  if (const auto own = own_division(path)) {
    PictureSplit split{list_pictures(own->first), list_pictures(own->second)};
    if (split.training.labels != split.test.labels)
      fail(path, "training and test pictures are of different classes");
    auto& pictures = split.training.pictures;
    if (training && *training < pictures.size()) pictures.resize(*training);
    return split;
  }
  PictureFolder all = list_pictures(path);
  const std::size_t count = all.pictures.size(), first = training.value_or(count * 4 / 5);
  if (first == 0 || first >= count) {
    throw UsageError("dataset.division", path.string() + " has " + std::to_string(count) + " pictures; " +
                                             std::to_string(first) +
                                             " for training and calibration leave none on one side");
  }
  PictureSplit split{all, all};
  split.training.pictures.resize(first);
  split.test.pictures.erase(split.test.pictures.begin(),
                            split.test.pictures.begin() + static_cast<std::ptrdiff_t>(first));
  return split;
}

PictureFolder test_pictures(const fs::path& path, std::optional<std::size_t> training) {
  return training || own_division(path) ? split_pictures(path, training).test : list_pictures(path);
}

Dataset load_pictures(std::span<const LabelledPicture> pictures, const models::InputEncoding& encoding,
                      const std::function<void(std::size_t done)>& report, Orientation orientation) {
  models::InputEncoding pixels = encoding;
  pixels.offset = {0};
  pixels.low = 0;
  pixels.high = 255;
  const auto size = static_cast<std::size_t>(encoding.shape.size());
  if (size > 0 && pictures.size() > kMaxLoadedBytes / size) {
    throw InputError("dataset.too_large",
                     std::to_string(pictures.size()) + " pictures of " + encoding.shape.to_string() +
                         " take " + std::to_string(pictures.size() * size >> 20) + " MiB, at most " +
                         std::to_string(kMaxLoadedBytes >> 20) + " are loaded; fewer pictures do");
  }
  Dataset set;
  set.shape = encoding.shape;
  set.pixels.resize(pictures.size() * size);
  for (const LabelledPicture& picture : pictures) set.classes.push_back(picture.label);
  std::atomic<std::size_t> done{0};
  tbb::parallel_for(std::size_t{0}, pictures.size(), [&](std::size_t i) {
    const WideVector values = models::encode_image(pixels, read_image(pictures[i].file, orientation));
    for (std::size_t k = 0; k < size; ++k)
      set.pixels[i * size + k] = static_cast<std::uint8_t>(values.to_int64(k));
    const std::size_t count = ++done;
    if (report) report(count);
  });
  return set;
}

}  // namespace popcorn::datasets
