#include "cli/verification.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/ciphertext/sign/sign_protocol.h"
#include "tests/cli/small_network.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::cli {

namespace {

/// A server with the small network and a client with a test key.
struct Setting {
  Setting() {
    constexpr unsigned kKeyBits = 768;
    parties.model = protocols::ServedModel::create(test::small_network());
    parties.owner = std::make_shared<const paillier::KeyOwner>(paillier::PrivateKey::generate(
        kKeyBits, paillier::KeyKind::ordinary, paillier::KeySizePolicy::insecure_test));
    parties.context = paillier::PublicContext::create(parties.owner->public_key());
    test::SeededRng rng(11);
    for (std::size_t i = 0; i < input.size(); ++i) input.set_int64(i, rng.between(0, 255));
    expected = models::evaluate_all(parties.model->network(), input);
  }

  Parties parties;
  WideVector input{784, 1};
  std::vector<WideVector> expected;
};

}  // namespace

TEST_CASE("Every tensor of an inference is compared, with both sign tests", "[cli]") {
  Setting setting;
  for (const std::string_view sign_test : protocols::sign_test_names()) {
    setting.parties.session.sign_test = sign_test;
    std::size_t shown = 0;
    const VerifiedTensors verified = verify_inference(
        setting.parties, "noise", setting.input, setting.expected, [&](const models::Node&) { ++shown; });
    CHECK(verified.tensors + 1 >= setting.expected.size());
    CHECK(verified.values >= 784 + 128 + 32 + 32 + 10);
    CHECK(shown == verified.tensors);
  }
}

TEST_CASE("One wrong value in any tensor is found and named", "[cli]") {
  Setting setting;
  const models::IntegerNetwork& network = setting.parties.model->network();
  test::SeededRng rng(12);
  for (std::size_t node = 0; node < network.nodes.size(); ++node) {
    std::vector<WideVector> wrong = setting.expected;
    const auto element = static_cast<std::size_t>(rng.below(wrong[node].size()));
    wrong[node].set_int64(element, wrong[node].to_int64(element) + (rng.below(2) == 0 ? 1 : -1));
    INFO(network.nodes[node].name);
    try {
      verify_inference(setting.parties, "noise", setting.input, wrong);
      FAIL("the difference was not found");
    } catch (const CheckError& error) {
      CHECK(error.exit_code() == 8);
      CHECK(error.code() == "verify.mismatch");
      CHECK_THAT(error.what(), Catch::Contains("noise, node " + network.nodes[node].name + ", element " +
                                               std::to_string(element) + ": "));
    }
  }
}

}  // namespace popcorn::cli
