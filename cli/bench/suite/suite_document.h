// The results of a suite in one JSON document, and what tables and plots read from it. Everything may be
// missing.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace popcorn::cli {

/// One cell's result.
class CellResult {
 public:
  explicit CellResult(const nlohmann::ordered_json& json) : json_(&json) {}

  std::string id() const { return json_->value("id", ""); }
  std::string group() const { return json_->value("group", ""); }
  /// A fact; empty when there is none of that name, numbers as JSON writes them.
  std::string fact(const std::string& name) const;
  std::optional<double> fact_number(const std::string& name) const;
  /// A number of the command's report, by a path: "phases/encrypt".
  std::optional<double> number(const std::string& path) const;
  std::string text(const std::string& path) const;
  const nlohmann::ordered_json& report() const;
  double busy_elsewhere() const { return json_->value("busy_elsewhere", 0.0); }

  std::string network() const;  ///< by its facts, without "synthetic:"
  std::string engine() const { return fact("engine"); }
  /// Both directions.
  std::optional<double> bytes() const;
  /// Of both parties.
  std::optional<double> processor_seconds() const;

 private:
  const nlohmann::ordered_json* json_;
};

class SuiteDocument {
 public:
  /// @throws InputError "suite.document" for what no suite wrote
  explicit SuiteDocument(nlohmann::ordered_json json);
  SuiteDocument(const SuiteDocument&) = delete;  // its cells refer to it
  SuiteDocument& operator=(const SuiteDocument&) = delete;

  const nlohmann::ordered_json& json() const noexcept { return json_; }
  const std::vector<CellResult>& cells() const noexcept { return cells_; }
  /// Cells whose id begins so, in the document's order.
  std::vector<CellResult> below(const std::string& prefix) const;
  std::optional<CellResult> find(const std::string& id) const;
  /// Networks with an inference, in the document's order.
  std::vector<std::string> networks() const;
  std::string text(const std::string& key) const { return json_.value(key, ""); }
  /// The cell's accuracy, by the rounding of the engine ("exact", "nearest", "fast").
  std::optional<double> accuracy(const std::string& network, const std::string& engine) const;

 private:
  nlohmann::ordered_json json_;
  std::vector<CellResult> cells_;
};

/// Seconds of an inference over "lan" or "wan": measured where the suite could emulate it, else computed.
struct LinkTime {
  double seconds = 0;
  std::optional<double> online_seconds;
  bool computed = true;
};
std::optional<LinkTime> time_over(const SuiteDocument& suite, const CellResult& inference,
                                  const std::string& link);

/// y ≈ a + b·x by least squares, and how much of the scatter it explains. Nothing for fewer than three
/// points.
struct LinearLaw {
  double constant = 0, slope = 0, r_squared = 0;
  double operator()(double x) const { return constant + slope * x; }
};
std::optional<LinearLaw> linear_law(const std::vector<std::pair<double, double>>& points);

}  // namespace popcorn::cli
