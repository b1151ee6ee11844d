#include "cellmill/stream/blob_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
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

BlobStore::BlobStore(std::int64_t count, std::shared_ptr<ScratchFile> scratch, WhenFull when_full,
                     MemoryBudget& budget, std::int64_t memory_share)
    : blocks_(static_cast<std::size_t>(count)),
      scratch_(std::move(scratch)),
      when_full_(when_full),
      budget_(budget),
      memory_left_(memory_share) {}

void BlobStore::put(std::int64_t block, RawVector<std::byte> bytes) {
  Block& at = blocks_[static_cast<std::size_t>(block)];
  const auto size = static_cast<std::int64_t>(bytes.size());
  at.bytes = size;
  if (memory_left_.fetch_sub(size) >= size && budget_.fits(size)) {
    at.reserved = budget_.reserve(size, "the cache of kept genes");
    bytes.shrink_to_fit();  // packing leaves room behind
    at.data = std::move(bytes);
    at.where = Block::Where::memory;
    return;
  }
  at.where = Block::Where::nowhere;
  if (scratch_ == nullptr || full_) return;
  try {
    at.offset = scratch_->append(bytes);
    at.where = Block::Where::file;
  } catch (const Error& error) {
    if (when_full_ == WhenFull::fail) throw;
    if (!full_.exchange(true))
      log_warning(fmt::format("{}; what is missing is read from the plates again", error.what()));
  }
}

bool BlobStore::has(std::int64_t block) const {
  return blocks_[static_cast<std::size_t>(block)].where != Block::Where::nowhere;
}

std::int64_t BlobStore::size(std::int64_t block) const {
  return has(block) ? blocks_[static_cast<std::size_t>(block)].bytes : 0;
}

RawVector<std::byte> BlobStore::get(std::int64_t block) const {
  const Block& at = blocks_[static_cast<std::size_t>(block)];
  if (at.where == Block::Where::memory) return at.data;
  RawVector<std::byte> bytes(static_cast<std::size_t>(at.bytes));
  scratch_->read(at.offset, bytes);
  return bytes;
}

void BlobStore::clear() {
  for (Block& block : blocks_) block = Block{};
  scratch_.reset();
}

}  // namespace cellmill
