// The JSON Schema of recipes, compiled in.
#pragma once

#include <string_view>

namespace popcorn::cli {

/// compress/recipe.schema.json (draft 7).
std::string_view recipe_schema();

}  // namespace popcorn::cli
