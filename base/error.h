// The one exception tree of Popcorn.
//
// A library throws one of these; the command line maps it once to an exit code, the HTTP service once to a
// status. `what()` is a sentence for a person: it names the file, field, node or step and what was expected.
// It never carries a secret, and the service never forwards the text of any other exception.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace popcorn {

/// Root of the tree: something failed and no more precise kind applies. Exit code 1.
class Error : public std::runtime_error {
 public:
  /// @param code stable dotted identifier for programs, e.g. "model.shape_mismatch"
  /// @param message one sentence for a person
  Error(std::string code, const std::string& message, int exit_code = 1)
      : std::runtime_error(message), code_(std::move(code)), exit_code_(exit_code) {}

  const std::string& code() const noexcept { return code_; }
  int exit_code() const noexcept { return exit_code_; }

 private:
  std::string code_;
  int exit_code_;
};

/// The caller asked for something that makes no sense (an unknown option, a value out of range). Exit code 2.
class UsageError : public Error {
 public:
  UsageError(std::string code, const std::string& message) : Error(std::move(code), message, 2) {}
};

/// Data from outside is damaged or not what it should be: a file, a model, a key, a message. Exit code 3.
class InputError : public Error {
 public:
  InputError(std::string code, const std::string& message) : Error(std::move(code), message, 3) {}
};

/// Reading or writing failed: no such file, no permission, no space. Exit code 4.
class IoError : public Error {
 public:
  IoError(std::string code, const std::string& message) : Error(std::move(code), message, 4) {}
};

/// The other side cannot be reached or went away. Exit code 5.
class NetworkError : public Error {
 public:
  NetworkError(std::string code, const std::string& message) : Error(std::move(code), message, 5) {}
};

/// Who you are is not known or not enough. Exit code 6.
class AuthError : public Error {
 public:
  AuthError(std::string code, const std::string& message) : Error(std::move(code), message, 6) {}
};

/// The other side is there and says no: busy, over a limit, not served any more. Exit code 7.
class RefusedError : public Error {
 public:
  RefusedError(std::string code, const std::string& message) : Error(std::move(code), message, 7) {}
};

/// A check failed: an accuracy guard, a verification, a self-test. Exit code 8.
class CheckError : public Error {
 public:
  CheckError(std::string code, const std::string& message) : Error(std::move(code), message, 8) {}
};

}  // namespace popcorn
