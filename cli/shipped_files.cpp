#include "cli/shipped_files.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "cli/random_weights.h"
#include "cli/synthetic_shares.h"
#include "models/file/popcorn_file.h"
#include "models/network/zoo.h"

namespace popcorn::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kModelExtension = ".popcorn";
constexpr std::string_view kSynthetic = "synthetic:";
constexpr std::string_view kSampleExtension = ".png";

std::vector<fs::path> files_with_extension(const fs::path& folder, std::string_view extension) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == extension && entry.is_regular_file(ignored))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// The requantised form of a shipped model's file.
std::optional<fs::path> requantised_beside(const fs::path& path) {
  fs::path form = path.parent_path() / "requantised" / path.filename();
  std::error_code ignored;
  return fs::is_regular_file(form, ignored) ? std::optional(std::move(form)) : std::nullopt;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace

fs::path own_executable() {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    throw IoError("executable.unknown",
                  "the path of the running executable is not known: " + error.message());
  }
  return path;
}

std::optional<fs::path> shipped_folder(const std::string& name, std::string_view extension) {
  const fs::path beside = own_executable().parent_path();
  const std::array<fs::path, 3> candidates = {
      beside.parent_path() / name, beside.parent_path() / "share" / "popcorn" / name, beside / name};
  for (const fs::path& candidate : candidates) {
    if (!files_with_extension(candidate, extension).empty()) return candidate;
  }
  return std::nullopt;
}

std::vector<std::string> shipped_models() {
  std::vector<std::string> names;
  if (const auto folder = shipped_folder("models", kModelExtension)) {
    for (const fs::path& file : files_with_extension(*folder, kModelExtension))
      names.push_back(file.stem().string());
  }
  return names;
}

fs::path find_model(const std::string& path_or_name) {
  fs::path path = path_or_name;
  if (path_or_name.starts_with(kSynthetic)) return path;
  const bool is_name = !path.has_parent_path() && path.extension() != kModelExtension;
  std::error_code ignored;
  if (!is_name || fs::is_regular_file(path, ignored)) return path;
  if (const auto folder = shipped_folder("models", kModelExtension)) {
    fs::path shipped = *folder / (path_or_name + std::string(kModelExtension));
    if (fs::is_regular_file(shipped, ignored)) return shipped;
  }
  throw InputError("model.not_found", "there is no model named " + path_or_name +
                                          "; shipped models: " + joined(shipped_models()) +
                                          " (or give the path of a .popcorn file)");
}

fs::path find_requantised_model(const std::string& path_or_name) {
  const fs::path path = find_model(path_or_name);
  const bool is_shipped = path.string() != path_or_name;
  if (!is_shipped) return path;
  if (const auto form = requantised_beside(path)) return *form;
  throw InputError("model.not_found", path_or_name + " is shipped without a requantised form");
}

models::IntegerNetwork load_model(const std::string& path_or_name) {
  if (path_or_name.starts_with(kSynthetic)) {
    return synthetic_network(zoo_variation(path_or_name.substr(kSynthetic.size())));
  }
  return models::read_network(find_model(path_or_name));
}

models::IntegerNetwork load_requantised_model(const std::string& path_or_name) {
  if (path_or_name.starts_with(kSynthetic)) {
    return requantised_synthetic_network(zoo_variation(path_or_name.substr(kSynthetic.size())));
  }
  return models::read_network(find_requantised_model(path_or_name));
}

std::optional<models::IntegerNetwork> shipped_requantised_form(const std::string& path_or_name) {
  const fs::path path = find_model(path_or_name);
  if (path.string() == path_or_name) return std::nullopt;
  const auto form = requantised_beside(path);
  return form ? std::optional(models::read_network(*form)) : std::nullopt;
}

models::IntegerNetwork load_model_for_engine(const std::string& path_or_name, const std::string& engine) {
  return engine.starts_with("shares") ? load_requantised_model(path_or_name) : load_model(path_or_name);
}

std::vector<Sample> shipped_samples() {
  const auto folder = shipped_folder("models/samples", kSampleExtension);
  std::vector<Sample> samples;
  if (folder) {
    for (const fs::path& file : files_with_extension(*folder, kSampleExtension)) {
      const std::string stem = file.stem().string();
      samples.push_back({file, stem.substr(0, stem.find('_'))});
    }
  }
  return samples;
}

}  // namespace popcorn::cli
