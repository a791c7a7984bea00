// The known answers under tests/data/paillier; the `_comment` of each file tells its fields.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"
#include "base/file.h"

namespace popcorn::test {

/// Tests run in the project's root folder.
inline nlohmann::json known_answers(const std::string& file = "known_answers.json") {
  return nlohmann::json::parse(read_text_file("tests/data/paillier/" + file));
}

/// A field in hexadecimal.
inline Bytes bytes_of(const nlohmann::json& object, const char* field) {
  return from_hex(object.at(field).get<std::string>());
}

inline std::string text_of(const nlohmann::json& object, const char* field) {
  return object.at(field).get<std::string>();
}

}  // namespace popcorn::test
