// Which measurements `popcorn bench suite` makes: cells, each of them one command of this program.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace popcorn::cli {

struct SuiteCell {
  std::string id;                ///< "inference/mnist-conv2/shares"; also the path of its file
  std::string group;             ///< what its report is read as: "accuracy", "inference", "packed", "linear"
  nlohmann::ordered_json facts;  ///< what distinguishes it from the others of its group
  std::vector<std::string> arguments;    ///< of popcorn
  std::vector<std::string> environment;  ///< "POPCORN_KERNEL=portable"
  unsigned cores = 0;                    ///< that it may use; 0 = all
};

struct SuiteOptions {
  enum class Extent { quick, standard, all };
  Extent extent = Extent::standard;
  std::size_t runs = 0;                         ///< of a measurement; 0 = 3 when quick, else 5
  std::filesystem::path data;                   ///< of the test sets; empty = accuracies are left out
  std::vector<std::filesystem::path> imagenet;  ///< .popcorn files
  std::string only;                             ///< cells whose id contains this
  bool emulates_networks = false;
};

/// In the order in which they are measured. Reads the networks whose size a plot needs.
/// @throws as reading them
std::vector<SuiteCell> plan_suite(const SuiteOptions& options);

}  // namespace popcorn::cli
