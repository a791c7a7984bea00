// How much the service writes to its log.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace popcorn::service {

enum class LogLevel {
  error,    ///< what failed inside the service
  warning,  ///< also requests that were refused
  info,     ///< also every request that went well, and the life of the server
};

inline const char* to_string(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return "error";
    case LogLevel::warning:
      return "warning";
    case LogLevel::info:
      break;
  }
  return "info";
}

/// Nothing for a name that is none of "error", "warning", "info".
inline std::optional<LogLevel> parse_log_level(std::string_view name) {
  for (const LogLevel level : {LogLevel::error, LogLevel::warning, LogLevel::info}) {
    if (name == to_string(level)) {
      return level;
    }
  }
  return std::nullopt;
}

/// The level of the line about a request that was answered with this status.
inline LogLevel level_of_status(int status) {
  if (status >= 500 && status != 503) {
    return LogLevel::error;
  }
  return status >= 400 ? LogLevel::warning : LogLevel::info;
}

}  // namespace popcorn::service
