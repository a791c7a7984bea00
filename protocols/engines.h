// The engines of this program, by name.
#pragma once

#include <string_view>
#include <vector>

#include "protocols/engine.h"

namespace popcorn::protocols {

/// Names of all engines, preferred first.
std::vector<std::string_view> engine_names();
/// @throws RefusedError "engine.unknown" that lists the known names
const Engine& engine_named(std::string_view name);
/// The engine of a session. @throws RefusedError "engine.refused" when the model does not offer it,
/// "output.unknown"
const Engine& accepted_engine(const ClientBundle& bundle, const SessionOptions& options);
/// Adds an engine to the end of the list. Before anything else of this library is used.
/// @param engine lives until the end of the program
void register_engine(const Engine& engine);

}  // namespace popcorn::protocols
