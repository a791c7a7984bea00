#include "cli/terminal/colour.h"

#include <unistd.h>

#include <cstdlib>

namespace popcorn::cli {

namespace {

/// Select Graphic Rendition [ECMA-48, 8.3.117].
std::string_view sequence(Colour colour) {
  switch (colour) {
    case Colour::red:
      return "\033[31m";
    case Colour::yellow:
      return "\033[33m";
    default:
      return "\033[32m";
  }
}

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

bool takes_colour(int descriptor) {
  return variable("NO_COLOR").empty() && variable("TERM") != "dumb" && ::isatty(descriptor) == 1;
}

std::string coloured(std::string_view text, Colour colour, int descriptor) {
  if (!takes_colour(descriptor)) return std::string(text);
  return std::string(sequence(colour)) + std::string(text) + "\033[0m";
}

}  // namespace popcorn::cli
