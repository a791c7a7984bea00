// Settings of a command that runs for long: each may come from the command line, from the environment, from a
// configuration file or be left at its default, in this order of precedence.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace popcorn::cli {

/// A setting "tls-key" is the option --tls-key, the environment variable PREFIX_TLS_KEY and the key "tls-key"
/// of the configuration file, a JSON object with texts, numbers, booleans and (for lists) arrays of texts.
/// The targets must outlive this object; their values before resolve() are the defaults.
class Settings {
 public:
  /// @param prefix of environment variables, e.g. "POPCORN_SERVE"
  Settings(CLI::App& command, std::string prefix);

  void text(const std::string& name, std::string& target, const std::string& type, const std::string& help);
  void choice(const std::string& name, std::string& target, std::vector<std::string> allowed,
              const std::string& help);
  /// Without dashes on the command line: what stands there by itself. Separated by commas in the environment.
  void positional_list(const std::string& name, std::vector<std::string>& target, const std::string& type,
                       const std::string& help);
  void flag(const std::string& name, bool& target, const std::string& help);
  template <typename Integer>
  void number(const std::string& name, Integer& target, std::uint64_t least, std::uint64_t most,
              const std::string& type, const std::string& help) {
    add_number(name, type, help, static_cast<std::uint64_t>(target), {least, most, false},
               [&target](std::uint64_t value) { target = static_cast<Integer>(value); });
  }
  /// Bytes, with KiB, MiB or GiB after the number if wanted.
  void bytes(const std::string& name, std::uint64_t& target, std::uint64_t least, const std::string& help) {
    add_number(name, "SIZE", help, target, {least, std::numeric_limits<std::int64_t>::max(), true},
               [&target](std::uint64_t value) { target = value; });
  }

  /// Sets every target, after the command line was parsed.
  /// @param file the configuration file; empty = the one that PREFIX_CONFIG names, if any
  /// @throws UsageError "settings.value", "settings.environment" for the command line and the environment;
  /// IoError, InputError "config.*" for the file. All name the setting and where it came from.
  void resolve(const std::string& file);

  /// Every setting, its value and its origin: as a table, or as one JSON object. Passwords in URLs are left
  /// out. Call after resolve().
  void print(std::ostream& out, bool json) const;

 private:
  struct Bounds {
    std::uint64_t least, most;
    bool units;
  };
  /// @throws UsageError with half a sentence: what was expected
  using Take = std::function<void(const std::vector<std::string>& values)>;
  struct Setting {
    std::string name;
    CLI::Option* option = nullptr;
    Take take;
    std::vector<std::string> values;  ///< the default, then what counts
    std::string origin = "default";
    bool list = false;
  };
  using FileValues = std::map<std::string, std::vector<std::string>>;

  Setting& add(const std::string& name, CLI::Option* option, std::vector<std::string> defaults, Take take);
  void add_number(const std::string& name, const std::string& type, const std::string& help,
                  std::uint64_t initial, Bounds bounds, std::function<void(std::uint64_t)> assign);
  std::string variable(const std::string& name) const;
  void refuse_unknown_variables() const;
  FileValues read_file_values(const std::string& file) const;
  void choose(Setting& setting, const FileValues& from_file, const std::string& file);

  CLI::App& command_;
  const std::string prefix_;
  std::vector<Setting> settings_;
};

}  // namespace popcorn::cli
