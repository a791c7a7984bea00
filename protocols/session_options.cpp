#include "protocols/session_options.h"

#include <algorithm>

#include "base/error.h"
#include "protocols/session_state.h"

namespace popcorn::protocols {

const SignTest& accepted_sign_test(const ClientBundle& bundle, const SessionOptions& options) {
  if (std::ranges::find(bundle.sign_tests, options.sign_test) == bundle.sign_tests.end()) {
    std::string offered;
    for (const std::string& name : bundle.sign_tests) offered += (offered.empty() ? "" : ", ") + name;
    throw RefusedError("sign_test.refused", "model \"" + bundle.model +
                                                "\" is not served with the sign test \"" + options.sign_test +
                                                "\"; offered are: " + offered);
  }
  if (options.output != "logits") {
    throw RefusedError("output.unknown",
                       "there is no output \"" + options.output + "\"; the only one is \"logits\"");
  }
  return sign_test_named(options.sign_test);
}

const SignTest& kept_sign_test(const ClientBundle& bundle, const SessionOptions& options) {
  try {
    return accepted_sign_test(bundle, options);
  } catch (const RefusedError&) {
    StateReader::reject("its sign test or its output is none of this model");
  }
}

}  // namespace popcorn::protocols
