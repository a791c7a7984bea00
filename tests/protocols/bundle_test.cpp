#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "protocols/client_bundle.h"
#include "protocols/session/served_model.h"
#include "protocols/wire/limits.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

std::string code_of(std::string_view json) {
  try {
    bundle_from_json(json);
  } catch (const InputError& error) {
    return error.code();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

models::IntegerNetwork labelled_network(test::SeededRng& rng) {
  models::IntegerNetwork network = test::random_network(rng);
  while (plan_steps(network).empty()) network = test::random_network(rng);
  for (std::int64_t i = 0; i < network.output().shape.size(); ++i) {
    network.labels.push_back("class \"" + std::to_string(i) + "\"");
  }
  network.finish();
  return network;
}

TEST_CASE("a bundle survives JSON") {
  test::SeededRng rng(91);
  for (int round = 0; round < 20; ++round) {
    const ClientBundle bundle = make_client_bundle(labelled_network(rng), 1 + round * 5);
    const ClientBundle read = bundle_from_json(bundle_to_json(bundle));
    CHECK(read.model == bundle.model);
    CHECK(read.config_id == bundle.config_id);
    CHECK(read.labels == bundle.labels);
    CHECK(read.output_scale == bundle.output_scale);
    CHECK(read.softmax == bundle.softmax);
    CHECK(read.output_count == bundle.output_count);
    CHECK(read.output_bits == bundle.output_bits);
    CHECK(read.sign_tests == bundle.sign_tests);
    CHECK(read.engines == bundle.engines);
    CHECK(read.encoding.shape == bundle.encoding.shape);
    CHECK(read.encoding.low == bundle.encoding.low);
    CHECK(read.encoding.high == bundle.encoding.high);
    REQUIRE(read.steps.size() == bundle.steps.size());
    for (std::size_t i = 0; i < read.steps.size(); ++i) {
      CHECK(read.steps[i].kind == bundle.steps[i].kind);
      CHECK(read.steps[i].name == bundle.steps[i].name);
      CHECK(read.steps[i].count == bundle.steps[i].count);
      CHECK(read.steps[i].bits == bundle.steps[i].bits);
    }
    CHECK(bundle_to_json(read) == bundle_to_json(bundle));
  }
}

TEST_CASE("a bundle from before there were several engines means the first one") {
  test::SeededRng rng(94);
  const ClientBundle bundle = make_client_bundle(labelled_network(rng));
  CHECK(bundle.engines == std::vector<std::string>{"ciphertext"});
  const std::string json = bundle_to_json(bundle);
  CHECK(bundle_from_json(replaced(json, "\"engines\"", "\"machines\"")).engines == bundle.engines);
  CHECK(bundle_from_json(replaced(json, "[\"ciphertext\"]", "[\"a\",\"b\"]")).engines ==
        std::vector<std::string>{"a", "b"});
  CHECK(code_of(replaced(json, "[\"ciphertext\"]", "[]")) == "bundle.engines");
  CHECK(code_of(replaced(json, "[\"ciphertext\"]", "7")) == "bundle.engines");
}

TEST_CASE("the configuration's name changes with the function and with the chunk, not with facts") {
  test::SeededRng rng(92);
  models::IntegerNetwork network = labelled_network(rng);
  const std::string name = make_client_bundle(network).config_id;
  CHECK(make_client_bundle(network, 7).config_id != name);
  network.facts.emplace_back("accuracy", "0.5");
  CHECK(make_client_bundle(network).config_id == name);
  for (models::Node& node : network.nodes) {
    if (node.weights.empty()) continue;
    node.weights[0] += 1;
    break;
  }
  network.finish();
  CHECK(make_client_bundle(network).config_id != name);
}

TEST_CASE("a bundle tells sizes, not places and no weights") {
  test::SeededRng rng(93);
  const ClientBundle bundle = make_client_bundle(labelled_network(rng));
  for (const Step& step : bundle.steps) {
    CHECK(step.node == 0);
    CHECK(step.first == 0);
  }
  CHECK(bundle_to_json(bundle).find("weight") == std::string::npos);
}

TEST_CASE("hostile bundles are refused with the field's name") {
  test::SeededRng rng(94);
  const std::string good = bundle_to_json(make_client_bundle(labelled_network(rng)));
  REQUIRE(code_of(good).empty());
  CHECK(code_of("") == "bundle.syntax");
  CHECK(code_of("[]") == "bundle.syntax");
  CHECK(code_of("{}") == "bundle.version");
  CHECK(code_of(replaced(good, "\"version\":1", "\"version\":2")) == "bundle.version");
  CHECK(code_of(replaced(good, "\"softmax\":true", "\"softmax\":1")) == "bundle.softmax");
  CHECK(code_of(replaced(good, "\"output_count\":", "\"output_count\":-")) == "bundle.output_count");
  CHECK(code_of(replaced(good, "\"output_count\":", "\"output_count\":99999999")) == "bundle.output_count");
  CHECK(code_of(replaced(good, "\"output_bits\":", "\"output_bits\":9999")) == "bundle.output_bits");
  CHECK(code_of(replaced(good, "\"output_scale\":[", "\"output_scale\":[-1,")) == "bundle.output_scale");
  CHECK(code_of(replaced(good, "\"output_scale\":[", "\"output_scale\":[1e999,")) != "");
  CHECK(code_of(replaced(good, "\"count\":", "\"count\":1e3,\"c\":")) == "bundle.steps.count");
  CHECK(code_of(replaced(good, "\"count\":", "\"count\":99999999")) == "bundle.steps.count");
  CHECK(code_of(replaced(good, "\"count\":", "\"count\":0,\"c\":")) == "bundle.steps.count");
  CHECK(code_of(replaced(good, "\"bits\":", "\"bits\":0,\"b\":")) == "bundle.steps.bits");
  CHECK(code_of(replaced(good, "\"bits\":", "\"bits\":99999")) == "bundle.steps.bits");
  CHECK(code_of(replaced(good, "\"kind\":\"", "\"kind\":\"softmax\",\"k\":\"")) == "bundle.steps.kind");
  CHECK(code_of(replaced(good, "\"kind\":\"", "\"kind\":\"arg_max\",\"k\":\"")) == "bundle.steps.kind");
  CHECK(code_of(replaced(good, "\"labels\":[", "\"labels\":[7,")) == "bundle.labels");
  CHECK(code_of(replaced(good, "\"low\":", "\"low\":\"x\",\"l\":")) == "bundle.encoding");
  CHECK(code_of(replaced(good, "\"encoding\":{", "\"encoding\":3,\"e\":{")) == "bundle.encoding");
  const std::string name(Limits::kNameBytes + 1, 'x');
  CHECK(code_of(replaced(good, "\"model\":\"", "\"model\":\"" + name)) == "bundle.model");
  CHECK(code_of(std::string(Limits::kBundleBytes + 1, ' ')) == "bundle.too_large");
  CHECK(code_of(std::string(1 << 16, '[')) == "bundle.syntax");
}

TEST_CASE("no truncation and no damage of a bundle does more than throw an input error") {
  test::SeededRng rng(95);
  const std::string good = bundle_to_json(make_client_bundle(labelled_network(rng)));
  for (std::size_t size = 0; size < good.size(); ++size) REQUIRE_FALSE(code_of(good.substr(0, size)).empty());
  for (int round = 0; round < 3000; ++round) {
    std::string bad = good;
    for (std::uint64_t i = 0; i <= rng.below(3); ++i) {
      bad[rng.below(bad.size())] = static_cast<char>(rng.next_u64());
    }
    code_of(bad);  // any InputError, or a bundle that happens to be valid
  }
}

}  // namespace
}  // namespace popcorn::protocols
