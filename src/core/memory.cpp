#include "cellmill/core/memory.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

MemoryBudget::Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      use_(other.use_) {}

MemoryBudget::Reservation& MemoryBudget::Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    if (budget_ != nullptr) budget_->release(bytes_, use_);
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    use_ = other.use_;
  }
  return *this;
}

MemoryBudget::Reservation::~Reservation() {
  if (budget_ != nullptr) budget_->release(bytes_, use_);
}

void MemoryBudget::Reservation::shrink_to(std::int64_t bytes) {
  if (budget_ == nullptr || bytes >= bytes_) return;
  budget_->release(bytes_ - bytes, use_);
  bytes_ = bytes;
}

MemoryBudget::Reservation MemoryBudget::wait_for(std::int64_t bytes) {
  if (bytes == 0) return {};
  std::unique_lock lock(mutex_);
  const std::int64_t ticket = next_ticket_++;
  freed_.wait(
      lock, [&] { return ticket == serving_ && (in_flight_ == 0 || reserved_ + bytes <= limit_); });
  ++serving_;
  freed_.notify_all();
  reserved_ += bytes;
  in_flight_ += bytes;
  peak_ = std::max(peak_, reserved_);
  return {this, bytes, Reservation::Use::in_flight};
}

MemoryBudget::Reservation MemoryBudget::reserve(std::int64_t bytes, const char* purpose) {
  const std::lock_guard lock(mutex_);
  if (reserved_ + bytes > limit_) {
    throw input_error(fmt::format(
        "{} needs {}, but only {} of the {} that --memory leaves for buffers are free; "
        "raise --memory or use more ranks",
        purpose, human_bytes(bytes), human_bytes(std::max<std::int64_t>(limit_ - reserved_, 0)),
        human_bytes(limit_)));
  }
  reserved_ += bytes;
  peak_ = std::max(peak_, reserved_);
  return {this, bytes, Reservation::Use::standing};
}

bool MemoryBudget::fits(std::int64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return reserved_ + bytes <= limit_;
}

std::int64_t MemoryBudget::reserved() const {
  const std::lock_guard lock(mutex_);
  return reserved_;
}

std::int64_t MemoryBudget::peak() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

void MemoryBudget::release(std::int64_t bytes, Reservation::Use use) {
  const std::lock_guard lock(mutex_);
  reserved_ -= bytes;
  if (use == Reservation::Use::in_flight) in_flight_ -= bytes;
  freed_.notify_all();
}

std::int64_t current_rss() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

std::int64_t peak_rss() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return current_rss();
}

void reset_peak_rss() {
  std::ofstream refs("/proc/self/clear_refs");
  refs << 5;  // see proc(5): resets VmHWM
}

namespace {

/// The number in a file such as cgroup v2's memory.max, or nothing for "max" or no file.
std::int64_t limit_in_file(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value && value > 0 ? value : std::numeric_limits<std::int64_t>::max();
}

/// The smallest memory limit from this process's cgroup up to the root (version 2, then version 1).
std::int64_t cgroup_limit() {
  std::int64_t limit = std::numeric_limits<std::int64_t>::max();
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const bool v2 = line.starts_with("0::");
    const bool v1 = line.find(":memory:") != std::string::npos;
    if (!v2 && !v1) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* file = v2 ? "/memory.max" : "/memory.limit_in_bytes";
    for (std::string path = line.substr(line.rfind(':') + 1);; path.resize(path.rfind('/'))) {
      limit = std::min(limit, limit_in_file(root + (path == "/" ? "" : path) + file));
      if (path.empty() || path == "/") break;
    }
  }
  return limit;
}

}  // namespace

std::int64_t available_memory() {
  struct sysinfo info {};
  sysinfo(&info);
  std::int64_t memory = static_cast<std::int64_t>(info.totalram) * info.mem_unit;
  memory = std::min(memory, cgroup_limit());
  if (const char* slurm = std::getenv("SLURM_MEM_PER_NODE"); slurm != nullptr) {  // MB
    const std::int64_t megabytes = std::strtoll(slurm, nullptr, 10);
    if (megabytes > 0) memory = std::min(memory, megabytes << 20);
  }
  return memory;
}

std::int64_t buffer_limit(std::int64_t memory, int processes) {
  // Heap that no reservation accounts for: allocator slack, thread stacks, library state.
  constexpr std::int64_t unaccounted = std::int64_t{24} << 20;
  if (memory <= 0) memory = available_memory() / 10 * 7 / std::max(1, processes);
  const std::int64_t limit = memory - current_rss() - unaccounted;
  if (limit < (std::int64_t{16} << 20)) {
    throw input_error(
        fmt::format("--memory {}: {} are taken before any data is read; at least {} are needed",
                    human_bytes(memory), human_bytes(current_rss() + unaccounted),
                    human_bytes(current_rss() + unaccounted + (std::int64_t{64} << 20))));
  }
  return limit;
}

void keep_small_buffers() {
  constexpr int megabyte = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, megabyte);
  mallopt(M_TRIM_THRESHOLD, 256 * megabyte);
}

void trim_heap() { malloc_trim(0); }

}  // namespace cellmill
