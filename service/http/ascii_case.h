// Names that HTTP compares without regard to case: header names, hosts, tokens (RFC 9110, section 5.1).
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace popcorn::service {

/// ASCII only, whatever the locale.
constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
  return out;
}

}  // namespace popcorn::service
