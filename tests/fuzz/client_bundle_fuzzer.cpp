// bundle_from_json: refuses with an InputError, or gives a bundle that survives its own JSON.
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "protocols/client_bundle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace popcorn;
  try {
    const protocols::ClientBundle bundle =
        protocols::bundle_from_json({reinterpret_cast<const char*>(data), size});
    const std::string json = protocols::bundle_to_json(bundle);
    if (protocols::bundle_to_json(protocols::bundle_from_json(json)) != json) std::abort();
  } catch (const InputError& error) {
    if (!error.code().starts_with("bundle.")) std::abort();
  }
  return 0;
}
