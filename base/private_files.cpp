#include "base/private_files.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/error.h"

namespace popcorn {

namespace {

constexpr mode_t kOwnerOnly = 0700;
constexpr mode_t kOthers = 077;

}  // namespace

void make_private_folder(const std::filesystem::path& folder, const std::string& what,
                         const std::string& code) {
  std::error_code failure;
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), failure);
  if (::mkdir(folder.c_str(), kOwnerOnly) != 0 && errno != EEXIST)
    throw IoError(code + ".folder", folder.string() + ": cannot be made: " + std::strerror(errno));
  struct stat state {};
  if (::stat(folder.c_str(), &state) != 0 || !S_ISDIR(state.st_mode))
    throw IoError(code + ".folder", folder.string() + ": is no folder");
  if ((state.st_mode & kOthers) != 0) {
    throw InputError(code + ".permissions",
                     folder.string() + ": others may enter " + what + "; chmod 700 it");
  }
}

Bytes read_beginning(const std::filesystem::path& file, std::size_t most) {
  Bytes beginning(most);
  std::ifstream in(file, std::ios::binary);
  in.read(reinterpret_cast<char*>(beginning.data()), static_cast<std::streamsize>(most));
  beginning.resize(static_cast<std::size_t>(in.gcount()));
  return beginning;
}

}  // namespace popcorn
