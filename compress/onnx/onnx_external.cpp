#include "compress/onnx/onnx_external.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <memory>
#include <system_error>

namespace popcorn::compress {

namespace {

namespace fs = std::filesystem;

struct Place {
  std::string location;
  std::size_t offset = 0;
  std::optional<std::size_t> length;
};

std::size_t whole_number(const std::string& key, const std::string& text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw NotSupported{"its external data has " + key + " \"" + text + "\", a whole number is expected"};
  return value;
}

Place place_of(const onnx::TensorProto& tensor) {
  Place place;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") place.location = entry.value();
    if (entry.key() == "offset") place.offset = whole_number("offset", entry.value());
    if (entry.key() == "length") place.length = whole_number("length", entry.value());
  }
  if (place.location.empty()) throw NotSupported{"its external data names no file"};
  return place;
}

/// The file, when it lies in the folder.
fs::path inside(const fs::path& folder, const std::string& location) {
  const fs::path wanted(location);
  bool climbs = wanted.is_absolute() || wanted.has_root_path();
  for (const fs::path& part : wanted) climbs = climbs || part == "..";
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  const fs::path file = error ? fs::path() : fs::canonical(folder / wanted, error);
  if (!climbs && error)
    throw NotSupported{"its weights are in \"" + location +
                       "\", which is not beside the network: put that file there"};
  const auto [end, ignored] = std::mismatch(root.begin(), root.end(), file.begin(), file.end());
  if (climbs || end != root.end())
    throw NotSupported{"its weights are in \"" + location +
                       "\", outside of the network's own folder: move the file beside the network"};
  if (!fs::is_regular_file(file, error))
    throw NotSupported{"its weights are in \"" + location + "\", which is no file"};
  return file;
}

}  // namespace

ExternalBytes external_beside(const fs::path& network) {
  const fs::path folder = network.parent_path().empty() ? fs::path(".") : network.parent_path();
  return
      [folder, total = std::make_shared<std::size_t>(0)](const onnx::TensorProto& tensor, std::size_t bytes) {
        const Place place = place_of(tensor);
        const fs::path file = inside(folder, place.location);
        std::error_code error;
        const std::uintmax_t size = fs::file_size(file, error);
        if (place.length && *place.length != bytes) {
          throw NotSupported{"its external data has a length of " + std::to_string(*place.length) +
                             " bytes, its dimensions need " + std::to_string(bytes)};
        }
        if (error || place.offset > size || bytes > size - place.offset) {
          throw NotSupported{"its external data ends at byte " + std::to_string(place.offset) + " + " +
                             std::to_string(bytes) + " of \"" + place.location + "\", which has " +
                             std::to_string(size)};
        }
        *total += bytes;
        if (*total > kMaxExternalBytes)
          throw NotSupported{"the network has more than 2 GiB of external data"};
        std::string content(bytes, '\0');
        std::ifstream in(file, std::ios::binary);
        in.seekg(static_cast<std::streamoff>(place.offset));
        if (!in.read(content.data(), static_cast<std::streamsize>(bytes)))
          throw NotSupported{"its external data in \"" + place.location + "\" cannot be read"};
        return content;
      };
}

}  // namespace popcorn::compress
