#include "storage/byte_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/zarr_files.hpp"

namespace cellmill {

namespace fs = std::filesystem;

void check_most(std::int64_t bytes, std::int64_t most) {
  if (bytes <= most) return;
  throw input_error(
      fmt::format("has {} bytes, expected at most {}", grouped(bytes), grouped(most)));
}

std::string join_key(const std::string& path, const std::string& name) {
  if (path.empty() || name.empty()) return path + name;
  return path + "/" + name;
}

std::optional<Bytes> ByteStore::read(const std::string& key, std::int64_t most) const {
  Bytes bytes;
  if (!read_into(key, most, bytes)) return std::nullopt;
  return bytes;
}

fs::path LocalStore::path_of(const std::string& key) const {
  return key.empty() ? root_ : root_ / key;
}

std::string LocalStore::place(const std::string& key) const { return path_of(key).string(); }

bool LocalStore::exists(const std::string& key) const {
  std::error_code ignored;  // what can't be looked at is not there
  return fs::exists(path_of(key), ignored);
}

std::int64_t LocalStore::size(const std::string& key) const { return file_bytes(path_of(key)); }

bool LocalStore::read_into(const std::string& key, std::int64_t most, Bytes& out) const {
  return read_file(path_of(key), most, out);
}

std::unique_ptr<ByteSource> LocalStore::open(const std::string& key) const {
  return InputFile::open(path_of(key));
}

std::vector<std::string> LocalStore::folders(const std::string& key) const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(path_of(key), error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_directory(ignored)) names.push_back(entry->path().filename().string());
  }
  if (error) throw io_error(place(key) + ": can't list: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace cellmill
