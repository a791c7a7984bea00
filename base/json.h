// Reading JSON from outside: bounded, without repeated names, every field typed and ranged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace popcorn {

using Json = nlohmann::json;

/// Foreign text as it may stand in a message: at most 80 bytes, everything but printable ASCII replaced by
/// '?'.
std::string printable(std::string_view text);

struct JsonLimits {
  std::size_t depth = 8;
  std::size_t elements = std::size_t{1}
                         << 20;  ///< of the whole text: values, names, ends of objects and arrays
  bool comments = false;         ///< whether // and /* */ are passed over
};

/// Why a text was refused.
struct JsonProblem {
  enum class Kind {
    syntax,    ///< at `byte`
    number,    ///< out of range
    depth,     ///< more than the limit
    elements,  ///< more than the limit
    repeated   ///< `name` twice in one object
  } kind;
  std::size_t byte = 0;
  std::string name;
  /// "is not valid JSON at byte 7": quotes nothing of the text but a repeated name, made printable.
  std::string describe() const;
};

/// One JSON value and nothing after it, into `value`; or why not, and then `value` is null.
std::optional<JsonProblem> read_json(std::string_view text, Json& value, const JsonLimits& limits = {});

/// The same for who has nothing to add to the sentence.
/// @param what named in messages, e.g. "the header"
/// @throws InputError(code)
Json parse_json(std::string_view text, const std::string& what, const std::string& code,
                const JsonLimits& limits = {});

/// Typed access to the fields of one object; every failure is an InputError(code) that names `what` and the
/// field.
class JsonFields {
 public:
  /// @throws InputError unless `json` is an object with exactly the keys of `required`, and any of `optional`
  JsonFields(const Json& json, std::string what, std::string code,
             std::initializer_list<std::string_view> required,
             std::initializer_list<std::string_view> optional = {});

  bool has(std::string_view key) const { return json_.contains(key); }
  const Json& at(std::string_view key) const { return json_.at(std::string(key)); }
  std::string text(std::string_view key) const;
  std::int64_t integer(std::string_view key, std::int64_t least, std::int64_t most) const;
  double number(std::string_view key) const;
  /// An array of `least_size` to `most_size` integers in [least, most].
  std::vector<std::int64_t> integers(std::string_view key, std::size_t least_size, std::size_t most_size,
                                     std::int64_t least, std::int64_t most) const;
  std::vector<std::string> texts(std::string_view key, std::size_t most_size) const;
  [[noreturn]] void fail(std::string_view key, const std::string& expected) const;

 private:
  std::int64_t checked(const Json& value, std::string_view key, std::int64_t least, std::int64_t most) const;

  const Json& json_;
  std::string what_;
  std::string code_;
};

}  // namespace popcorn
