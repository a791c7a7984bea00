#include "protocols/client_bundle.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "models/input/input_encoding.h"
#include "protocols/shares/share_facts.h"

namespace popcorn::protocols {

namespace {

constexpr unsigned kBundleVersion = 1;
/// The engine of bundles from before there were several.
constexpr const char* kFirstEngine = "ciphertext";

[[noreturn]] void fail(const std::string& field, const std::string& expected) {
  throw InputError("bundle." + field, "client bundle: \"" + field + "\" must be " + expected);
}

const Json& member(const Json& object, const char* key, const std::string& field) {
  const auto found = object.find(key);
  if (found == object.end()) fail(field, "present");
  return *found;
}

std::uint64_t unsigned_member(const Json& object, const char* key, const std::string& field,
                              std::uint64_t low, std::uint64_t high) {
  const Json& value = member(object, key, field);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() < low || value.get<std::uint64_t>() > high) {
    fail(field, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value.get<std::uint64_t>();
}

std::string text_of(const Json& value, const std::string& field) {
  if (!value.is_string() || value.get_ref<const std::string&>().size() > Limits::kNameBytes) {
    fail(field, "a string of at most " + std::to_string(Limits::kNameBytes) + " bytes");
  }
  return value.get<std::string>();
}

const Json& array_member(const Json& object, const char* key, const std::string& field, std::size_t high) {
  const Json& value = member(object, key, field);
  if (!value.is_array() || value.size() > high) {
    fail(field, "an array of at most " + std::to_string(high) + " entries");
  }
  return value;
}

std::vector<std::string> texts_member(const Json& object, const char* key, std::size_t high) {
  std::vector<std::string> texts;
  for (const Json& value : array_member(object, key, key, high)) texts.push_back(text_of(value, key));
  return texts;
}

StepKind step_kind_of(const Json& value) {
  for (const StepKind kind : {StepKind::relu, StepKind::max_pool, StepKind::sign}) {
    if (value == to_string(kind)) return kind;
  }
  fail("steps.kind", "\"relu\", \"max_pool\" or \"sign\"");
}

Json json_of(const Step& step) {
  return {{"kind", to_string(step.kind)}, {"name", step.name}, {"count", step.count}, {"bits", step.bits}};
}

Step step_of(const Json& json) {
  if (!json.is_object()) fail("steps", "an array of objects");
  Step step;
  step.kind = step_kind_of(member(json, "kind", "steps.kind"));
  step.name = text_of(member(json, "name", "steps.name"), "steps.name");
  step.count = unsigned_member(json, "count", "steps.count", 1, Limits::kStepCount);
  step.bits =
      static_cast<unsigned>(unsigned_member(json, "bits", "steps.bits", 1, models::Limits::kValueBits));
  return step;
}

std::vector<double> scales_of(const Json& json, std::uint64_t outputs) {
  std::vector<double> scales;
  for (const Json& value : array_member(json, "output_scale", "output_scale", Limits::kOutputs)) {
    const double scale = value.is_number() ? value.get<double>() : 0.0;
    if (!std::isfinite(scale) || scale <= 0) fail("output_scale", "an array of positive numbers");
    scales.push_back(scale);
  }
  if (scales.size() != 1 && scales.size() != outputs)
    fail("output_scale", "one number, or one for each output");
  return scales;
}

models::InputEncoding encoding_of(const Json& json) {
  const Json& encoding = member(json, "encoding", "encoding");
  if (!encoding.is_object()) fail("encoding", "an object");
  try {
    return models::encoding_from_json(encoding.dump());
  } catch (const InputError& error) {
    throw InputError("bundle.encoding", std::string("client bundle: \"encoding\": ") + error.what());
  }
}

ClientBundle bundle_of(const Json& json) {
  if (!json.is_object()) throw InputError("bundle.syntax", "client bundle: a JSON object was expected");
  const Json& version = member(json, "version", "version");
  if (version != kBundleVersion) fail("version", std::to_string(kBundleVersion));
  ClientBundle bundle;
  bundle.model = text_of(member(json, "model", "model"), "model");
  bundle.config_id = text_of(member(json, "config_id", "config_id"), "config_id");
  bundle.encoding = encoding_of(json);
  bundle.output_count = unsigned_member(json, "output_count", "output_count", 1, Limits::kOutputs);
  bundle.output_bits = static_cast<unsigned>(
      unsigned_member(json, "output_bits", "output_bits", 0, models::Limits::kValueBits));
  bundle.output_scale = scales_of(json, bundle.output_count);
  const std::string answer = text_of(member(json, "answer", "answer"), "answer");
  if (answer != "logits" && answer != "label") fail("answer", "\"logits\" or \"label\"");
  bundle.answer = answer == "label" ? models::Answer::label : models::Answer::logits;
  if (bundle.answer == models::Answer::label && bundle.output_count != 1)
    fail("output_count", "1 for a label");
  bundle.labels = texts_member(json, "labels", Limits::kOutputs);
  const Json& softmax = member(json, "softmax", "softmax");
  if (!softmax.is_boolean()) fail("softmax", "true or false");
  bundle.softmax = softmax.get<bool>();
  for (const Json& step : array_member(json, "steps", "steps", Limits::kSteps))
    bundle.steps.push_back(step_of(step));
  bundle.sign_tests = texts_member(json, "sign_tests", Limits::kSignTests);
  bundle.engines = {kFirstEngine};
  if (json.contains("engines")) bundle.engines = texts_member(json, "engines", Limits::kEngines);
  if (bundle.engines.empty()) fail("engines", "a list with at least one name");
  if (json.contains("shares")) {
    bundle.share_facts =
        std::make_shared<const shares::ShareFacts>(shares::facts_from_json(json.at("shares")));
  }
  return bundle;
}

}  // namespace

std::string chosen_of(const std::string& asked, const std::vector<std::string>& offered) {
  return asked.empty() && !offered.empty() ? offered.front() : asked;
}

std::string bundle_to_json(const ClientBundle& bundle) {
  Json json;
  json["version"] = kBundleVersion;
  json["model"] = bundle.model;
  json["config_id"] = bundle.config_id;
  json["encoding"] = Json::parse(models::encoding_to_json(bundle.encoding));
  json["answer"] = bundle.answer == models::Answer::label ? "label" : "logits";
  json["labels"] = bundle.labels;
  json["output_scale"] = bundle.output_scale;
  json["softmax"] = bundle.softmax;
  json["output_count"] = bundle.output_count;
  json["output_bits"] = bundle.output_bits;
  json["steps"] = Json::array();
  for (const Step& step : bundle.steps) json["steps"].push_back(json_of(step));
  json["sign_tests"] = bundle.sign_tests;
  json["engines"] = bundle.engines;
  if (bundle.share_facts) json["shares"] = shares::facts_to_json(*bundle.share_facts);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ClientBundle bundle_from_json(std::string_view json) {
  if (json.size() > Limits::kBundleBytes) {
    throw InputError("bundle.too_large", "client bundle: " + std::to_string(json.size()) +
                                             " bytes, at most " + std::to_string(Limits::kBundleBytes) +
                                             " are accepted");
  }
  return bundle_of(parse_json(json, "client bundle: this", "bundle.syntax"));
}

}  // namespace popcorn::protocols
