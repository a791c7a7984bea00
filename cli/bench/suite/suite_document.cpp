#include "cli/bench/suite/suite_document.h"

#include <algorithm>

#include "base/error.h"
#include "cli/bench/network_profile.h"

namespace popcorn::cli {

namespace {

using Json = nlohmann::ordered_json;

const Json* below_path(const Json& json, const std::string& path) {
  const Json* at = &json;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto found = at->is_object() ? at->find(path.substr(begin, end - begin)) : at->end();
    if (!at->is_object() || found == at->end()) return nullptr;
    at = &*found;
    begin = end + 1;
  }
  return at;
}

std::optional<double> as_number(const Json* json) {
  if (json == nullptr || !json->is_number()) return std::nullopt;
  return json->get<double>();
}

std::string as_text(const Json* json) {
  if (json == nullptr || json->is_null()) return "";
  return json->is_string() ? json->get<std::string>() : json->dump();
}

}  // namespace

std::string CellResult::fact(const std::string& name) const {
  return as_text(below_path(*json_, "facts/" + name));
}

std::optional<double> CellResult::fact_number(const std::string& name) const {
  return as_number(below_path(*json_, "facts/" + name));
}

std::optional<double> CellResult::number(const std::string& path) const {
  return as_number(below_path(report(), path));
}

std::string CellResult::text(const std::string& path) const {
  return as_text(below_path(report(), path));
}

const Json& CellResult::report() const {
  static const Json none = Json::object();
  const auto found = json_->find("report");
  return found == json_->end() ? none : *found;
}

std::string CellResult::network() const {
  constexpr std::string_view kSynthetic = "synthetic:";
  const std::string name = fact("network");
  return name.starts_with(kSynthetic) ? name.substr(kSynthetic.size()) : name;
}

std::optional<double> CellResult::bytes() const {
  const auto up = number("bytes_up"), down = number("bytes_down");
  return up && down ? std::optional(*up + *down) : std::nullopt;
}

std::optional<double> CellResult::processor_seconds() const {
  const auto client = number("cpu_seconds_client"), server = number("cpu_seconds_server");
  return client && server ? std::optional(*client + *server) : std::nullopt;
}

SuiteDocument::SuiteDocument(Json json) : json_(std::move(json)) {
  const auto cells = json_.is_object() ? json_.find("cells") : json_.end();
  if (!json_.is_object() || cells == json_.end() || !cells->is_array()) {
    throw InputError("suite.document", "this is no result of popcorn bench suite: it has no list \"cells\"");
  }
  for (const Json& cell : *cells) {
    if (!cell.is_object()) throw InputError("suite.document", "a cell of the suite's result is no object");
    cells_.emplace_back(cell);
  }
}

std::vector<CellResult> SuiteDocument::below(const std::string& prefix) const {
  std::vector<CellResult> result;
  for (const CellResult& cell : cells_) {
    if (cell.id().starts_with(prefix)) result.push_back(cell);
  }
  return result;
}

std::optional<CellResult> SuiteDocument::find(const std::string& id) const {
  for (const CellResult& cell : cells_) {
    if (cell.id() == id) return cell;
  }
  return std::nullopt;
}

std::vector<std::string> SuiteDocument::networks() const {
  std::vector<std::string> names;
  for (const CellResult& cell : below("inference/")) {
    if (std::ranges::find(names, cell.network()) == names.end()) names.push_back(cell.network());
  }
  return names;
}

std::optional<double> SuiteDocument::accuracy(const std::string& network, const std::string& engine) const {
  const std::string rounding = engine == "ciphertext" ? "exact" : engine == "shares" ? "nearest" : "fast";
  const auto cell = find("accuracy/" + network + "/" + rounding);
  return cell ? cell->number("accuracy") : std::nullopt;
}

std::optional<LinkTime> time_over(const SuiteDocument& suite, const CellResult& inference,
                                  const std::string& link) {
  if (const auto run = suite.find("links/" + inference.network() + "/" + inference.engine() + "/" + link)) {
    const auto seconds = run->number("network/seconds");
    const bool emulated = run->text("network/how") == "emulated";
    if (seconds && emulated) return LinkTime{*seconds, run->number("network/online_seconds"), false};
  }
  const auto seconds = inference.number("seconds"), rounds = inference.number("rounds"),
             bytes = inference.bytes();
  if (!seconds || !rounds || !bytes) return std::nullopt;
  const NetworkProfile& profile = network_profile(link);
  const auto added = [&](double round_count, double byte_count) {
    return profile.seconds(static_cast<std::uint64_t>(round_count), static_cast<std::uint64_t>(byte_count));
  };
  LinkTime time{*seconds + added(*rounds, *bytes), std::nullopt, true};
  const auto online = inference.number("online_seconds"), online_rounds = inference.number("online_rounds"),
             online_bytes = inference.number("online_bytes");
  if (online && online_rounds && online_bytes)
    time.online_seconds = *online + added(*online_rounds, *online_bytes);
  return time;
}

std::optional<LinearLaw> linear_law(const std::vector<std::pair<double, double>>& points) {
  constexpr std::size_t kFewest = 3;
  if (points.size() < kFewest) return std::nullopt;
  const auto count = static_cast<double>(points.size());
  double mean_x = 0, mean_y = 0;
  for (const auto& [x, y] : points) mean_x += x / count, mean_y += y / count;
  double xx = 0, xy = 0, yy = 0;
  for (const auto& [x, y] : points) {
    xx += (x - mean_x) * (x - mean_x);
    xy += (x - mean_x) * (y - mean_y);
    yy += (y - mean_y) * (y - mean_y);
  }
  if (xx <= 0) return std::nullopt;
  LinearLaw law;
  law.slope = xy / xx;
  law.constant = mean_y - law.slope * mean_x;
  law.r_squared = yy > 0 ? xy * xy / (xx * yy) : 1;
  return law;
}

}  // namespace popcorn::cli
