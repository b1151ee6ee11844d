#include "cellmill/storage/scratch_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

ScratchFile::ScratchFile(const std::filesystem::path& folder) : folder_(folder) {
  std::string name = (folder / "cellmill-scratch-XXXXXX").string();
  file_ = mkostemp(name.data(), O_CLOEXEC);
  if (file_ < 0) {
    throw io_error(fmt::format("scratch folder {}: {}; give another with --scratch DIR, or none",
                               folder.string(), std::strerror(errno)));
  }
  unlink(name.c_str());
}

ScratchFile::~ScratchFile() { close(file_); }

std::int64_t ScratchFile::append(std::span<const std::byte> bytes) {
  const std::int64_t offset = end_.fetch_add(static_cast<std::int64_t>(bytes.size()));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written =
        pwrite(file_, bytes.data() + done, bytes.size() - done, offset + static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      throw io_error(fmt::format("scratch folder {}: {} after {} of scratch", folder_.string(),
                                 std::strerror(written < 0 ? errno : ENOSPC), human_bytes(offset)));
    }
    done += static_cast<std::size_t>(written);
  }
  return offset;
}

void ScratchFile::read(std::int64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got =
        pread(file_, out.data() + done, out.size() - done, offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw io_error(fmt::format("scratch folder {}: reading back {}: {}", folder_.string(),
                                 human_bytes(static_cast<std::int64_t>(out.size())),
                                 got < 0 ? std::strerror(errno) : "the file ends early"));
    }
    done += static_cast<std::size_t>(got);
  }
}

std::filesystem::path find_scratch_folder(const std::filesystem::path& fallback,
                                          std::int64_t wanted) {
  std::vector<std::filesystem::path> candidates;
  for (const char* variable : {"SLURM_TMPDIR", "TMPDIR"}) {
    if (const char* value = std::getenv(variable); value != nullptr && *value != '\0')
      candidates.emplace_back(value);
  }
  candidates.insert(candidates.end(), {"/tmp", "/var/tmp", fallback});
  for (const std::filesystem::path& folder : candidates) {
    struct statfs info {};
    if (statfs(folder.c_str(), &info) != 0 || access(folder.c_str(), W_OK) != 0) continue;
    if (info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC) continue;
    if (static_cast<std::int64_t>(info.f_bavail) * info.f_bsize < wanted) continue;
    return folder;
  }
  return {};
}

}  // namespace cellmill
