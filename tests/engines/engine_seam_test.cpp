// A second engine through session, service and command line: none of them was changed for it.
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "cli/verification.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/engines.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/session/session.h"
#include "tests/engines/skeleton_engine.h"
#include "tests/protocols/parties.h"
#include "tests/service/service_fixture.h"
#include "tests/support/process.h"
#include "tests/support/random_network.h"

namespace popcorn::test {
namespace {

using namespace popcorn::protocols;

const std::vector<std::string> kBoth = {"ciphertext", "skeleton"};

SessionOptions with_engine(const std::string& engine) {
  SessionOptions options;
  options.engine = engine;
  return options;
}

std::shared_ptr<const ServedModel> model_of(SeededRng& rng, const std::vector<std::string>& engines = {}) {
  models::IntegerNetwork network;
  do network = random_network(rng);
  while (plan_steps(network).empty());
  network.name = "tiny";
  return ServedModel::create(std::move(network), kDefaultChunk, {}, engines);
}

std::string code_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

TEST_CASE("engines are listed, preferred first, and found by name", "[engine]") {
  CHECK(engine_names() == std::vector<std::string_view>{"ciphertext", "shares", "shares-fast", "skeleton"});
  CHECK(&engine_named("skeleton") == &skeleton_engine());
  CHECK(code_of([] { engine_named("telepathic"); }) == "engine.unknown");
}

TEST_CASE("a model is served with the engines that were asked for, or with all that can run it", "[engine]") {
  SeededRng rng(501);
  const auto all = model_of(rng);
  CHECK(all->bundle().engines == kBoth);
  CHECK(bundle_from_json(bundle_to_json(all->bundle())).engines == kBoth);
  const auto one = model_of(rng, {"skeleton"});
  CHECK(one->bundle().engines == std::vector<std::string>{"skeleton"});
  CHECK(one->bundle().steps.empty());
  CHECK(code_of([&] { ServerSession(one, party(384).context, with_engine("ciphertext")); }) ==
        "engine.refused");
  CHECK(code_of([&] { model_of(rng, {"telepathic"}); }) == "engine.unknown");
}

TEST_CASE("sessions of either engine give the plaintext network's tensors, and tell them to an observer",
          "[engine]") {
  SeededRng rng(502);
  for (int round = 0; round < 8; ++round) {
    const auto model = model_of(rng);
    const WideVector input = random_input(rng, model->network());
    const std::vector<WideVector> expected = models::evaluate_all(model->network(), input);
    const Party& keys = party(fitting_key_bits(model->network()));
    for (const std::string& engine : kBoth) {
      CAPTURE(round, engine);
      const Transcript transcript = run_inference(model, keys, input, rng, with_engine(engine));
      CHECK(transcript.logits == expected.back());
      CHECK(transcript.tensors == expected);
      const InferenceCost cost = predict_cost(*model, keys.owner->public_key().bits(), with_engine(engine));
      CHECK(cost.engine == engine);
      CHECK(cost.rounds == transcript.up.size());
      const auto bytes = [](const std::vector<Bytes>& messages) {
        return std::accumulate(messages.begin(), messages.end(), std::uint64_t{0},
                               [](std::uint64_t sum, const Bytes& message) { return sum + message.size(); });
      };
      CHECK(cost.bytes_up == bytes(transcript.up));
      CHECK(cost.bytes_down == bytes(transcript.down));
    }
  }
}

TEST_CASE("order and sizes are the session's part, whatever the engine", "[engine]") {
  SeededRng rng(503);
  const auto model = model_of(rng);
  const WideVector input = random_input(rng, model->network());
  const Party& keys = party(fitting_key_bits(model->network()));
  ServerSession server(model, keys.context, with_engine("skeleton"));
  ClientSession client(model->bundle(), keys.owner, input, with_engine("skeleton"));
  CHECK(client.step_name() == "preparation");
  const Bytes first = client.start();
  const Bytes reply = server.handle(first);
  CHECK(code_of([&] { server.handle(first); }) == "round.repeated");
  const std::optional<ByteView> answer = client.handle(reply);
  REQUIRE(answer);
  CHECK(client.step_name() == "input");
  const Bytes second(answer->begin(), answer->end());
  CHECK(code_of([&] { client.handle(reply); }) == "round.repeated");
  CHECK(code_of([&] { server.handle(ByteView(second).first(second.size() - 1)); }) == "message.truncated");
  CHECK_FALSE(server.can_be_kept());
  CHECK(code_of([&] { server.save(); }) == "session.not_kept");
  CHECK_FALSE(client.can_be_kept());
  CHECK(code_of([&] { client.save(); }) == "session.not_kept");
  CHECK_FALSE(client.handle(server.handle(second)));
  CHECK(client.logits() == models::evaluate(model->network(), input));
  CHECK(server.finished());
}

TEST_CASE("the service runs the engine that a client asks for", "[engine]") {
  service::ServerOptions options = small_server_options();
  const auto model = options.models.front();
  REQUIRE(model->bundle().engines == kBoth);
  RunningServer server(options);
  SeededRng rng(504);
  const WideVector input = random_input(rng, model->network());
  const std::string file = (std::filesystem::temp_directory_path() / "popcorn_skeleton_session").string();
  for (const std::string& engine : {std::string(), kBoth[0], kBoth[1]}) {
    CAPTURE(engine);
    service::ClientOptions client_options;
    client_options.engine = engine;
    if (engine == "skeleton") client_options.session_file = file;
    service::Client client(server.url(), client_options);
    const service::InferenceResult result = client.infer(client.bundle("tiny"), small_key(), input);
    CHECK(result.logits == plaintext_logits(*model, input));
    CHECK(result.engine == (engine.empty() ? "ciphertext" : engine));
    CHECK_FALSE(std::filesystem::exists(file));
  }
  const nlohmann::json wanted = {
      {"key_id", register_key(server)}, {"config_id", config_id(server.port())}, {"engine", "skeleton"}};
  const RawAnswer opened = ask(server.port(), "POST", "/v2/models/tiny/sessions", wanted.dump());
  REQUIRE(opened.status == 201);
  const nlohmann::json session = nlohmann::json::parse(opened.body);
  CHECK(session.at("engine") == "skeleton");
  CHECK(session.at("rounds") == 2);
  nlohmann::json unknown = wanted;
  unknown["engine"] = "telepathic";
  const RawAnswer refused = ask(server.port(), "POST", "/v2/models/tiny/sessions", unknown.dump());
  CHECK(error_code(refused) == "session.engine");
  const RawAnswer described = ask(server.port(), "GET", "/v2/models/tiny");
  CHECK(nlohmann::json::parse(described.body).at("engines") == kBoth);
}

TEST_CASE("verify compares whole inferences of either engine; samples are refused where there are none",
          "[engine]") {
  SeededRng rng(505);
  cli::Parties parties;
  parties.model = model_of(rng);
  const models::IntegerNetwork& network = parties.model->network();
  const Party& keys = party(fitting_key_bits(network));
  parties.owner = keys.owner;
  parties.context = keys.context;
  const WideVector input = random_input(rng, network);
  const std::vector<WideVector> expected = models::evaluate_all(network, input);
  for (const std::string& engine : kBoth) {
    parties.session.engine = engine;
    CHECK(cli::verify_inference(parties, "noise", input, expected).tensors + 1 >= expected.size());
  }
  CHECK(code_of([&] { cli::verify_samples(parties, network, "noise", input, 3); }) == "verify.sample");
}

/// The popcorn command with the skeleton linked in.
nlohmann::json popcorn_with_skeleton(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), POPCORN_WITH_SKELETON);
  arguments.insert(arguments.end(), {"--insecure-test-key", "--bits", "768", "--json"});
  const ProcessResult result = run_process(arguments);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

TEST_CASE("the command line takes the engine by name", "[engine]") {
  const std::string model = "models/mnist-mlp.popcorn";
  const nlohmann::json cost = popcorn_with_skeleton({"inspect", model, "--cost", "--engine", "skeleton"});
  CHECK(cost.at("engine") == "skeleton");
  CHECK(cost.at("rounds") == 2);
  const nlohmann::json verified = popcorn_with_skeleton({"verify", model, "--engine", "skeleton"});
  CHECK(verified.at("engine") == "skeleton");
  CHECK(verified.at("equal") == true);

  Process serving({POPCORN_WITH_SKELETON, "serve", model, "--port", "0", "--json", "--insecure-test-key",
                   "--engine", "skeleton"});
  const std::string url = nlohmann::json::parse(serving.read_line()).at("url");
  for (const std::string output : {"logits", "label"}) {
    const nlohmann::json answer = popcorn_with_skeleton(
        {"infer", "--server", url, "--model", "mnist-mlp", "--output", output, "models/samples/7_1.png"});
    CHECK(answer.at("results").at(0).at("engine") == "skeleton");
    CHECK(answer.at("results").at(0).at("label") == "7");
    CHECK(answer.at("results").at(0).at("rounds") == 2);
  }
  const nlohmann::json benchmark = popcorn_with_skeleton(
      {"bench", "network", model, "--engine", "skeleton", "--runs", "1", "--baseline", "none"});
  CHECK(benchmark.at("engine") == "skeleton");
}

}  // namespace
}  // namespace popcorn::test
