// encoding_from_json: refuses with an InputError, or gives an encoding that survives its own JSON.
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "models/input/input_encoding.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace popcorn;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string json = models::encoding_to_json(models::encoding_from_json(text));
    if (models::encoding_to_json(models::encoding_from_json(json)) != json) std::abort();
  } catch (const InputError&) {
  }
  return 0;
}
