// docs/openapi.json, compiled in.
#pragma once

#include <string_view>

namespace popcorn::service {

std::string_view openapi_document();

}  // namespace popcorn::service
