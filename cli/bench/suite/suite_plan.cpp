#include "cli/bench/suite/suite_plan.h"

#include <algorithm>
#include <thread>

#include "base/file.h"
#include "base/sha256.h"
#include "cli/bench/network_profile.h"
#include "cli/shipped_files.h"
#include "models/file/popcorn_file.h"

namespace popcorn::cli {

namespace {

namespace fs = std::filesystem;
using Extent = SuiteOptions::Extent;

constexpr const char* kCiphertext = "ciphertext";
constexpr const char* kShares = "shares";
constexpr const char* kFast = "shares-fast";

const std::vector<std::string> kEngines = {kCiphertext, kShares, kFast};
const std::vector<std::string> kMnist = {"mnist-mlp", "mnist-conv1", "mnist-conv2", "mnist-lenet",
                                         "mnist-bnn"};
const std::vector<std::string> kCifar10 = {"cifar10-conv7", "cifar10-resnet20", "cifar10-bnn"};
/// What is measured in more than one way when not everything is.
constexpr const char* kSmall = "mnist-conv2";
constexpr const char* kLarge = "cifar10-conv7";

bool is_small(const std::string& network) {
  return network.starts_with("mnist-");
}

/// An inference between two processes.
struct Inference {
  std::string network;  ///< as on the command line
  std::string engine;
  unsigned bits = 2048;
  bool subgroup = false;
  bool portable = false;
  unsigned cores = 0;
  std::string link = "loopback";
  bool textbook = false;
  std::string picture{};
  std::size_t runs = 0;  ///< 0 = the suite's
};

class Planner {
 public:
  explicit Planner(const SuiteOptions& options)
      : options_(options),
        runs_(options.runs > 0                  ? options.runs
              : options.extent == Extent::quick ? kQuickRuns
                                                : kRuns) {
    networks_ = kMnist;
    if (options.extent == Extent::quick) {
      networks_.emplace_back(kLarge);
    } else {
      networks_.insert(networks_.end(), kCifar10.begin(), kCifar10.end());
    }
  }

  std::vector<SuiteCell> plan() {
    accuracies();
    inferences();
    keys();
    kernels();
    cores();
    links();
    layers();
    growth();
    for (const fs::path& file : options_.imagenet) imagenet(file);
    if (!options_.only.empty()) {
      std::erase_if(cells_,
                    [&](const SuiteCell& c) { return c.id.find(options_.only) == std::string::npos; });
    }
    return std::move(cells_);
  }

 private:
  static constexpr std::size_t kQuickRuns = 3;
  static constexpr std::size_t kRuns = 5;

  bool quick() const { return options_.extent == Extent::quick; }
  bool all() const { return options_.extent == Extent::all; }

  SuiteCell& add(std::string id, std::string group, nlohmann::ordered_json facts,
                 std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    return cells_.emplace_back(
        SuiteCell{std::move(id), std::move(group), std::move(facts), std::move(arguments), {}, 0});
  }

  // Accuracy -----------------------------------------------------------------------------------------

  void accuracies() {
    if (options_.data.empty()) return;
    for (const std::string& network : networks_) {
      accuracy(network, network, "exact", {});
      accuracy(network, network, "nearest", {"--engine", kShares});
      accuracy(network, network, "fast",
               {"--engine", kShares, "--rounding", "fast", "--seeds", quick() ? "1" : "3"});
    }
  }

  void accuracy(const std::string& network, const std::string& model, const std::string& rounding,
                std::vector<std::string> more) {
    std::vector<std::string> arguments = {"evaluate", model};
    // Sixteen times the work of a digit: a part of the pictures when it must be quick.
    if (quick() && !is_small(network)) more.insert(more.end(), {"--limit", "2000"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    SuiteCell& cell = add("accuracy/" + network + "/" + rounding, "accuracy",
                          {{"network", network}, {"rounding", rounding}}, std::move(arguments));
    cell.environment.push_back("POPCORN_DATA=" + options_.data.string());
  }

  // Inferences ---------------------------------------------------------------------------------------

  SuiteCell& infer(const std::string& id, const std::string& group, const Inference& what,
                   nlohmann::ordered_json more_facts = nlohmann::ordered_json::object()) {
    nlohmann::ordered_json facts = {{"network", what.network}, {"engine", what.engine}};
    facts.update(more_facts);
    std::vector<std::string> arguments = {
        "bench", "network", what.network, "--engine", what.engine, "--bits", std::to_string(what.bits)};
    if (what.subgroup) arguments.insert(arguments.end(), {"--kind", "subgroup"});
    if (what.link != "loopback") arguments.insert(arguments.end(), {"--network", what.link});
    if (!what.picture.empty()) arguments.insert(arguments.end(), {"--image", what.picture});
    arguments.insert(arguments.end(), {"--runs", std::to_string(what.runs > 0 ? what.runs : runs_),
                                       "--baseline", what.textbook ? "textbook" : "none"});
    SuiteCell& cell = add(id, group, std::move(facts), std::move(arguments));
    if (what.portable) cell.environment.emplace_back("POPCORN_KERNEL=portable");
    cell.cores = what.cores;
    return cell;
  }

  void inferences() {
    for (const std::string& network : networks_) {
      for (const std::string& engine : kEngines) {
        Inference what{network, engine};
        what.textbook = engine == kCiphertext && is_small(network);
        infer("inference/" + network + "/" + engine, "inference", what);
      }
    }
  }

  /// Whether an inference is among those measured in one more way.
  bool is_chosen(const std::string& network, const std::string& engine, bool also_others) const {
    if (all()) return true;
    if (network == kSmall) return engine != kFast;
    if (quick()) return false;
    if (network == kLarge) return engine == kShares;
    return also_others && (engine == kShares || (engine == kCiphertext && is_small(network)));
  }

  template <typename Action>
  void for_chosen(bool also_others, const Action& action) {
    for (const std::string& network : networks_) {
      for (const std::string& engine : kEngines) {
        if (is_chosen(network, engine, also_others)) action(network, engine);
      }
    }
  }

  void keys() {
    struct Key {
      unsigned bits;
      bool subgroup;
    };
    for (const Key key : {Key{3072, false}, Key{2048, true}, Key{3072, true}}) {
      const std::string name = std::to_string(key.bits) + (key.subgroup ? "-subgroup" : "");
      for_chosen(true, [&](const std::string& network, const std::string& engine) {
        // Subgroup keys say little about networks beside the two that everything is measured on.
        if (key.subgroup && !all() && network != kSmall && network != kLarge) return;
        Inference what{network, engine, key.bits, key.subgroup};
        infer("keys/" + network + "/" + engine + "/" + name, "inference", what,
              {{"bits", key.bits}, {"kind", key.subgroup ? "subgroup" : "ordinary"}});
      });
    }
  }

  void kernels() {
    for_chosen(false, [&](const std::string& network, const std::string& engine) {
      Inference what{network, engine};
      what.portable = true;
      infer("kernels/" + network + "/" + engine + "/portable", "inference", what, {{"kernel", "portable"}});
    });
  }

  void cores() {
    const unsigned most = std::max(1U, std::thread::hardware_concurrency());
    for (unsigned count = 1; count < most; count *= 2) {
      for_chosen(false, [&](const std::string& network, const std::string& engine) {
        Inference what{network, engine};
        what.cores = count;
        infer("cores/" + network + "/" + engine + "/" + std::to_string(count), "inference", what,
              {{"cores", count}});
      });
    }
  }

  /// Only where they can be emulated; what is computed needs no run of its own.
  void links() {
    if (!options_.emulates_networks) return;
    for (const NetworkProfile& profile : network_profiles()) {
      for_chosen(true, [&](const std::string& network, const std::string& engine) {
        Inference what{network, engine};
        what.link = profile.name;
        infer("links/" + network + "/" + engine + "/" + profile.name, "inference", what,
              {{"link", profile.name}});
      });
    }
  }

  // Parts --------------------------------------------------------------------------------------------

  void layers() {
    const std::string samples = std::to_string(runs_);
    add("layers/" + std::string(kSmall) + "/ciphertext", "linear", {{"network", kSmall}},
        {"bench", "linear", kSmall, "--bits", "2048", "--samples", samples});
    add("layers/" + std::string(kSmall) + "/shares", "packed", {{"network", kSmall}},
        {"bench", "packed", kSmall, "--bits", "2048", "--runs", samples});
    add("layers/" + std::string(kLarge) + "/shares", "packed", {{"network", kLarge}},
        {"bench", "packed", kLarge, "--bits", "2048", "--runs", samples});
    if (!all()) return;
    add("layers/" + std::string(kLarge) + "/ciphertext", "linear", {{"network", kLarge}},
        {"bench", "linear", kLarge, "--bits", "2048", "--samples", samples});
  }

  // How costs grow -----------------------------------------------------------------------------------

  void grow(const std::string& law, const std::string& variation, const std::string& engine,
            nlohmann::ordered_json facts) {
    const std::string model = "synthetic:" + variation;
    const models::IntegerNetwork network = load_model_for_engine(model, engine);
    std::size_t weighted = 0;
    for (const models::Node& node : network.nodes) weighted += node.weights.empty() ? 0 : 1;
    facts["nonzeros"] = network.nonzeros();
    facts["weighted_layers"] = weighted;
    facts["law"] = law;
    std::string id = "growth/" + law + "/" + engine + "/" + variation;
    std::ranges::replace(id, ',', '-');
    infer(id, "inference", {model, engine}, std::move(facts));
  }

  void growth() {
    // Named after the convolutional network that they are cut from; a quarter of its weights is not zero.
    const std::string base = kLarge;
    const std::vector<std::string> densities =
        quick() ? std::vector<std::string>{"0.05", "0.25", "1"}
                : std::vector<std::string>{"0.05", "0.1", "0.25", "0.5", "1"};
    for (const std::string& density : densities) {
      grow("weights", base + ",density=" + density + ",size=16", kShares, {{"density", std::stod(density)}});
      grow("weights", std::string(kSmall) + ",density=" + density, kCiphertext,
           {{"density", std::stod(density)}});
    }
    std::vector<int> sides = {8, 16, 32};
    if (!quick()) sides.push_back(48);
    if (all()) sides.push_back(64);
    for (const int side : sides) {
      grow("picture", base + ",density=0.25,size=" + std::to_string(side), kShares, {{"side", side}});
    }
    std::vector<int> repeats = {1, 2, 3};
    if (!quick()) repeats.push_back(4);
    for (const int times : repeats) {
      grow("depth", base + ",density=0.25,size=16,repeat=" + std::to_string(times), kShares,
           {{"repeat", times}});
    }
  }

  // ImageNet -----------------------------------------------------------------------------------------

  void imagenet(const fs::path& file) {
    const models::IntegerNetwork network = models::read_network(file);
    const std::string digest = to_hex(sha256(read_file(file)));
    const nlohmann::ordered_json more = {{"file_sha256", digest}};
    const fs::path pictures = options_.data / "imagenet-samples";
    std::string picture;
    std::error_code ignored;
    if (!options_.data.empty() && fs::is_directory(pictures, ignored)) {
      picture = first_picture(pictures);
      std::vector<std::string> roundings = {"exact"};
      if (network.is_requantised()) roundings = {"nearest", "fast"};
      for (const std::string& rounding : roundings) {
        std::vector<std::string> arguments = {"evaluate", file.string(), "--dataset",
                                              "folder",   "--data",      pictures.string()};
        if (rounding == "fast") arguments.insert(arguments.end(), {"--rounding", "fast", "--seeds", "1"});
        nlohmann::ordered_json facts = {{"network", network.name}, {"rounding", rounding}};
        facts.update(more);
        add("accuracy/" + network.name + "/" + rounding, "accuracy", std::move(facts), std::move(arguments));
      }
    }
    for (const std::string& engine : kEngines) {
      if ((engine == kCiphertext) == network.is_requantised()) continue;
      Inference what{file.string(), engine};
      what.picture = picture;
      what.runs = engine == kCiphertext ? 1 : 0;  // minutes each
      nlohmann::ordered_json facts = more;
      facts["network"] = network.name;
      infer("inference/" + network.name + "/" + engine, "inference", what, std::move(facts));
    }
  }

  static std::string first_picture(const fs::path& folder) {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".jpg" || entry.path().extension() == ".png")
        files.push_back(entry.path());
    }
    return files.empty() ? std::string() : *std::ranges::min_element(files);
  }

  const SuiteOptions& options_;
  const std::size_t runs_;
  std::vector<std::string> networks_;
  std::vector<SuiteCell> cells_;
};

}  // namespace

std::vector<SuiteCell> plan_suite(const SuiteOptions& options) {
  return Planner(options).plan();
}

}  // namespace popcorn::cli
