#include "base/json.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/error.h"

namespace popcorn {

namespace {

/// Watches the parser: stops it at the first name that occurs twice and where a limit is passed.
class Guard {
 public:
  explicit Guard(const JsonLimits& limits) : limits_(limits) {}

  void see(Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        names_.emplace_back();
        if (names_.size() > limits_.depth) throw JsonProblem{JsonProblem::Kind::depth, limits_.depth, {}};
        break;
      case Event::object_end:
      case Event::array_end:
        names_.pop_back();
        break;
      case Event::key:
        if (!names_.back().insert(parsed.get<std::string>()).second) {
          throw JsonProblem{JsonProblem::Kind::repeated, 0, parsed.get<std::string>()};
        }
        break;
      case Event::value:
        break;
    }
    if (++elements_ > limits_.elements) {
      throw JsonProblem{JsonProblem::Kind::elements, limits_.elements, {}};
    }
  }

 private:
  const JsonLimits& limits_;
  std::vector<std::set<std::string>> names_;
  std::size_t elements_ = 0;
};

bool contains(std::initializer_list<std::string_view> keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 80;
  std::string result(text.substr(0, kMost));
  for (char& c : result) c = c >= 0x20 && c < 0x7f ? c : '?';
  return text.size() > kMost ? result + "..." : result;
}

std::string JsonProblem::describe() const {
  switch (kind) {
    case Kind::syntax:
      return "is not valid JSON at byte " + std::to_string(byte);
    case Kind::number:
      return "is not valid JSON: a number is out of range";
    case Kind::depth:
      return "is nested more than " + std::to_string(byte) + " levels deep";
    case Kind::elements:
      return "has more than " + std::to_string(byte) + " elements";
    case Kind::repeated:
      return "has the key '" + printable(name) + "' twice in one object";
  }
  return {};
}

std::optional<JsonProblem> read_json(std::string_view text, Json& value, const JsonLimits& limits) {
  Guard guard(limits);
  value = nullptr;
  try {
    value = Json::parse(
        text,
        [&](int, Json::parse_event_t event, const Json& parsed) {
          guard.see(event, parsed);
          return true;
        },
        true, limits.comments);
    return std::nullopt;
  } catch (const Json::parse_error& error) {
    return JsonProblem{JsonProblem::Kind::syntax, error.byte, {}};
  } catch (const Json::exception&) {
    return JsonProblem{JsonProblem::Kind::number, 0, {}};
  } catch (JsonProblem& problem) {
    return std::move(problem);
  }
}

Json parse_json(std::string_view text, const std::string& what, const std::string& code,
                const JsonLimits& limits) {
  Json value;
  if (const auto problem = read_json(text, value, limits))
    throw InputError(code, what + " " + problem->describe());
  return value;
}

JsonFields::JsonFields(const Json& json, std::string what, std::string code,
                       std::initializer_list<std::string_view> required,
                       std::initializer_list<std::string_view> optional)
    : json_(json), what_(std::move(what)), code_(std::move(code)) {
  if (!json.is_object()) throw InputError(code_, what_ + " must be a JSON object");
  for (const std::string_view key : required) {
    if (!json.contains(key))
      throw InputError(code_, what_ + ": the field '" + std::string(key) + "' is missing");
  }
  for (const auto& [key, value] : json.items()) {
    if (!contains(required, key) && !contains(optional, key)) {
      throw InputError(code_, what_ + ": the field '" + printable(key) + "' is unknown");
    }
  }
}

void JsonFields::fail(std::string_view key, const std::string& expected) const {
  throw InputError(code_, what_ + ": the field '" + std::string(key) + "' must be " + expected);
}

std::string JsonFields::text(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_string()) fail(key, "a string");
  return value.get<std::string>();
}

double JsonFields::number(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_number()) fail(key, "a number");
  return value.get<double>();
}

std::int64_t JsonFields::checked(const Json& value, std::string_view key, std::int64_t least,
                                 std::int64_t most) const {
  const bool in_word =
      value.is_number_integer() &&
      (!value.is_number_unsigned() ||
       value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!in_word || value.get<std::int64_t>() < least || value.get<std::int64_t>() > most) {
    fail(key, "made of integers from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value.get<std::int64_t>();
}

std::int64_t JsonFields::integer(std::string_view key, std::int64_t least, std::int64_t most) const {
  return checked(at(key), key, least, most);
}

std::vector<std::int64_t> JsonFields::integers(std::string_view key, std::size_t least_size,
                                               std::size_t most_size, std::int64_t least,
                                               std::int64_t most) const {
  const Json& array = at(key);
  if (!array.is_array() || array.size() < least_size || array.size() > most_size) {
    fail(key, "an array of " + std::to_string(least_size) +
                  (least_size == most_size ? "" : " to " + std::to_string(most_size)) + " integers");
  }
  std::vector<std::int64_t> result;
  for (const Json& value : array) result.push_back(checked(value, key, least, most));
  return result;
}

std::vector<std::string> JsonFields::texts(std::string_view key, std::size_t most_size) const {
  const Json& array = at(key);
  if (!array.is_array() || array.size() > most_size) {
    fail(key, "an array of at most " + std::to_string(most_size) + " strings");
  }
  std::vector<std::string> result;
  for (const Json& value : array) {
    if (!value.is_string()) fail(key, "an array of strings");
    result.push_back(value.get<std::string>());
  }
  return result;
}

}  // namespace popcorn
