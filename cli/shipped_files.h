// Where the command finds what ships with it: model files, sample pictures, the compression module.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::cli {

/// The running executable, with symbolic links resolved. @throws IoError
std::filesystem::path own_executable();

/// Folder NAME ("models", "samples") with files of that extension, of the source tree that the executable was
/// built in (build/popcorn → models/) or of an installation (bin/popcorn → share/popcorn/models/).
std::optional<std::filesystem::path> shipped_folder(const std::string& name, std::string_view extension);

/// Names of the shipped model files, sorted.
std::vector<std::string> shipped_models();

/// A path of a .popcorn file or "synthetic:NAME" as it is, or the name of a shipped model.
/// @throws InputError "model.not_found" that lists the shipped ones
std::filesystem::path find_model(const std::string& path_or_name);
/// Likewise for the requantised form: shipped ones are in the folder requantised/ of the models.
/// @throws InputError "model.not_found"
std::filesystem::path find_requantised_model(const std::string& path_or_name);
/// find_model() and models::read_network(); or, for "synthetic:NAME", the zoo's network of that name with
/// random weights (see zoo_variation() for what may follow the name, and synthetic_network()).
/// @throws UsageError "zoo.unknown", "zoo.variation"
models::IntegerNetwork load_model(const std::string& path_or_name);
/// Likewise the requantised form (find_requantised_model(), requantised_synthetic_network()).
models::IntegerNetwork load_requantised_model(const std::string& path_or_name);

/// Of a shipped model given by name; nothing for all others and for those without one.
std::optional<models::IntegerNetwork> shipped_requantised_form(const std::string& path_or_name);

/// The form that an engine takes: the requantised one for those on shares.
models::IntegerNetwork load_model_for_engine(const std::string& path_or_name, const std::string& engine);

/// A picture whose file name says its class, e.g. models/samples/7_1.png.
struct Sample {
  std::filesystem::path path;
  std::string label;  ///< what stands before the first underscore
};
/// The sample pictures, sorted by name; empty when none are shipped.
std::vector<Sample> shipped_samples();

}  // namespace popcorn::cli
