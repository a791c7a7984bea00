#include "tests/support/prometheus_text.h"

#include <limits>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace popcorn::test {

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

struct Sample {
  std::string name;
  Labels labels;
  double value = 0;
};

[[noreturn]] void wrong(const std::string& line, const std::string& complaint) {
  throw std::runtime_error("metrics: " + complaint + ": " + line);
}

double parse_value(const std::string& text, const std::string& line) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  static const std::regex number(R"([-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?)");
  if (!std::regex_match(text, number)) wrong(line, "a value that is no number");
  return std::stod(text);
}

Sample parse_sample(const std::string& line) {
  static const std::regex whole(R"rx(([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+))rx");
  static const std::regex label(R"rx(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(,|$))rx");
  std::smatch parts;
  if (!std::regex_match(line, parts, whole)) wrong(line, "not a sample");
  Sample sample{parts[1], {}, parse_value(parts[3], line)};
  std::string rest = parts[2];
  if (parts[2].matched && rest.empty()) wrong(line, "braces without labels");
  while (!rest.empty()) {
    std::smatch one;
    if (!std::regex_search(rest, one, label, std::regex_constants::match_continuous))
      wrong(line, "a label that is none");
    if (one.suffix().length() == 0 && one[3].length() > 0) wrong(line, "a comma without a label after it");
    for (const auto& [name, value] : sample.labels) {
      if (name == one[1]) wrong(line, "a label that comes twice");
    }
    sample.labels.emplace_back(one[1], one[2]);
    rest = one.suffix();
  }
  return sample;
}

/// One family between its HELP line and the next.
class Family {
 public:
  Family(std::string name, std::string type) : name_(std::move(name)), type_(std::move(type)) {}

  void add(const Sample& sample, const std::string& line) {
    if (type_ == "histogram") {
      add_to_histogram(sample, line);
      return;
    }
    if (sample.name != name_) wrong(line, "a sample outside of its family " + name_);
    if (type_ == "counter" && sample.value < 0) wrong(line, "a negative counter");
  }

  /// What can be said only when all samples are there.
  void finish() const {
    for (const auto& [labels, histogram] : histograms_) {
      if (histogram.bound != std::numeric_limits<double>::infinity()) wrong(name_, "no bucket le=\"+Inf\"");
      if (!histogram.has_sum || histogram.count != histogram.last)
        wrong(name_, "_sum or _count does not fit");
    }
  }

 private:
  struct Histogram {
    double bound = -std::numeric_limits<double>::infinity();
    double last = 0;
    double count = -1;
    bool has_sum = false;
  };

  void add_to_histogram(const Sample& sample, const std::string& line) {
    Labels others;
    std::string bound;
    for (const auto& label : sample.labels) {
      if (label.first == "le") {
        bound = label.second;
      } else {
        others.push_back(label);
      }
    }
    Histogram& histogram = histograms_[others];
    if (sample.name == name_ + "_bucket") {
      const double upper = parse_value(bound, line);
      if (upper <= histogram.bound || sample.value < histogram.last) wrong(line, "buckets out of order");
      histogram.bound = upper;
      histogram.last = sample.value;
    } else if (sample.name == name_ + "_sum" && bound.empty()) {
      histogram.has_sum = true;
    } else if (sample.name == name_ + "_count" && bound.empty()) {
      histogram.count = sample.value;
    } else {
      wrong(line, "a sample outside of its family " + name_);
    }
  }

  std::string name_, type_;
  std::map<Labels, Histogram> histograms_;
};

}  // namespace

std::map<std::string, double> parse_prometheus_text(const std::string& text) {
  static const std::regex help(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (?:[^\\]|\\[\\n])+)");
  static const std::regex type(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram))");
  if (!text.ends_with('\n')) wrong("", "the last line has no end");
  std::map<std::string, double> values;
  std::set<std::string> families;
  std::vector<Family> current;
  std::string announced;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch parts;
    if (std::regex_match(line, parts, help)) {
      if (!announced.empty() || !families.insert(parts[1]).second) wrong(line, "a family that comes twice");
      announced = parts[1];
    } else if (std::regex_match(line, parts, type)) {
      if (parts[1] != announced) wrong(line, "a TYPE without its HELP");
      if ((parts[2] == "counter") != announced.ends_with("_total")) wrong(line, "_total is for counters");
      for (const Family& family : current) family.finish();
      current = {Family(announced, parts[2])};
      announced.clear();
    } else {
      const Sample sample = parse_sample(line);
      if (!announced.empty() || current.empty()) wrong(line, "a sample without TYPE");
      current.front().add(sample, line);
      if (!values.emplace(line.substr(0, line.rfind(' ')), sample.value).second)
        wrong(line, "a series that comes twice");
    }
  }
  for (const Family& family : current) family.finish();
  return values;
}

}  // namespace popcorn::test
