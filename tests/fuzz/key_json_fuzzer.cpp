// PublicKey::from_json and PrivateKey::from_json: refuse with an InputError, or give a key that its own JSON
// gives back.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "paillier/keys/keys.h"
#include "tests/support/seeded_rng.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace popcorn;
using namespace popcorn::paillier;
using Json = nlohmann::ordered_json;

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename Read>
void check(const Read& read) {
  try {
    read();
  } catch (const InputError& error) {
    require(error.code().starts_with("key."));
  }
}

/// Valid keys to start from: public and private, ordinary and subgroup, and a private one that has lambda
/// only.
const std::vector<Json>& examples() {
  static const std::vector<Json> keys = [] {
    std::vector<Json> list;
    test::SeededRng rng(1);
    for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
      const PrivateKey key = PrivateKey::generate(256, kind, kTest, rng);
      list.push_back(Json::parse(key.public_key().to_json()));
      list.push_back(Json::parse(key.to_json()));
      list.push_back(list.back());
      list.back().erase("p");
      list.back().erase("q");
    }
    return list;
  }();
  return keys;
}

void mutate_text(std::string& text) {
  constexpr std::size_t kRoom = 32;
  const std::size_t size = text.size();
  text.resize(size + kRoom);
  text.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), size, text.size()));
}

/// Damages one value, removes it, or renames it, at any depth.
void mutate_field(Json& object, unsigned seed) {
  if (object.empty()) return;
  auto item = std::next(object.begin(), static_cast<std::ptrdiff_t>(seed % object.size()));
  seed /= static_cast<unsigned>(object.size());
  if (item->is_object() && seed % 8 != 0) return mutate_field(*item, seed / 8);
  switch (seed % 8) {
    case 0:
      object.erase(item);
      break;
    case 1:
      object.emplace(item.key() + "x", Json(*item));
      break;
    case 2:
      *item = seed;
      break;
    default: {
      std::string text = item->is_string() ? item->get<std::string>() : item->dump();
      mutate_text(text);
      *item = text;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check([text] {
    const PublicKey key = PublicKey::from_json(text, kTest);
    require(PublicKey::from_json(key.to_json(), kTest) == key);
  });
  check([text] {
    const PrivateKey key = PrivateKey::from_json(text, kTest);
    require(PrivateKey::from_json(key.to_json(), kTest).to_json() == key.to_json());
  });
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  if (seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  seed /= 8;
  Json key = Json::parse(data, data + size, nullptr, false);
  if (!key.is_object() || key.empty() || seed % 16 == 0) key = examples()[seed / 16 % examples().size()];
  mutate_field(key, seed / 256);
  const std::string text = key.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::ranges::copy(text, data);
  return text.size();
}
