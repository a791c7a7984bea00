// Colours for what one should not overlook, on terminals only.
#pragma once

#include <string>
#include <string_view>

namespace popcorn::cli {

enum class Colour { red, yellow, green };

/// Whether what is written there may carry colours: it is a terminal, TERM is not "dumb", and NO_COLOR is
/// absent or empty [no-color.org].
bool takes_colour(int descriptor);
/// The text, in colour where the descriptor takes it.
std::string coloured(std::string_view text, Colour colour, int descriptor);

}  // namespace popcorn::cli
