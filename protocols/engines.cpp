#include "protocols/engines.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "protocols/ciphertext/ciphertext_engine.h"
#include "protocols/shares/shares_engine.h"

namespace popcorn::protocols {

namespace {

std::vector<const Engine*>& all_engines() {
  static std::vector<const Engine*> engines{&ciphertext_engine(), &shares::shares_engine(),
                                            &shares::shares_fast_engine()};
  return engines;
}

std::string list(const auto& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

}  // namespace

std::vector<std::string_view> engine_names() {
  std::vector<std::string_view> names;
  for (const Engine* engine : all_engines()) names.push_back(engine->name());
  return names;
}

const Engine& engine_named(std::string_view name) {
  for (const Engine* engine : all_engines()) {
    if (engine->name() == name) return *engine;
  }
  throw RefusedError("engine.unknown",
                     "there is no engine \"" + std::string(name) + "\"; known are: " + list(engine_names()));
}

const Engine& accepted_engine(const ClientBundle& bundle, const SessionOptions& options) {
  if (std::ranges::find(bundle.engines, options.engine) == bundle.engines.end()) {
    throw RefusedError("engine.refused", "model \"" + bundle.model + "\" is not served with the engine \"" +
                                             options.engine + "\"; offered are: " + list(bundle.engines));
  }
  if (options.output != "logits") {
    throw RefusedError("output.unknown",
                       "there is no output \"" + options.output + "\"; the only one is \"logits\"");
  }
  return engine_named(options.engine);
}

void register_engine(const Engine& engine) {
  all_engines().push_back(&engine);
}

}  // namespace popcorn::protocols
