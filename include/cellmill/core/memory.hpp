#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace cellmill {

/// The bytes a rank may use for its buffers. One budget a rank; every large buffer holds a
/// Reservation of it. Only the fetch stage of a pass waits for memory, first come first served;
/// everything downstream reserves without waiting, so the pipeline can't deadlock. Thread-safe.
class MemoryBudget {
 public:
  /// \param limit bytes; what the process already used when the budget was made is the caller's to
  /// subtract
  explicit MemoryBudget(std::int64_t limit) : limit_(limit) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Bytes given back when it dies. Movable.
  class Reservation {
   public:
    Reservation() = default;
    enum class Use { standing, in_flight };  ///< in flight: came from wait_for
    Reservation(MemoryBudget* budget, std::int64_t bytes, Use use)
        : budget_(budget), bytes_(bytes), use_(use) {}
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation();
    [[nodiscard]] std::int64_t bytes() const { return bytes_; }
    /// Gives back all but `bytes`; growing is not possible.
    void shrink_to(std::int64_t bytes);

   private:
    MemoryBudget* budget_ = nullptr;
    std::int64_t bytes_ = 0;
    Use use_ = Use::standing;
  };

  /// Waits, in order of arrival, until `bytes` are free. When nothing else is in flight the request
  /// is granted whatever its size, so that a job with one oversized span still runs. Nothing is
  /// waited for to get nothing.
  [[nodiscard]] Reservation wait_for(std::int64_t bytes);

  /// Reserves at once. \throws Error(input) that says what `purpose` needed and what is left, and
  /// to raise --memory
  [[nodiscard]] Reservation reserve(std::int64_t bytes, const char* purpose);

  /// Whether `bytes` are free now.
  [[nodiscard]] bool fits(std::int64_t bytes) const;

  [[nodiscard]] std::int64_t limit() const { return limit_; }
  [[nodiscard]] std::int64_t reserved() const;
  [[nodiscard]] std::int64_t peak() const;

 private:
  void release(std::int64_t bytes, Reservation::Use use);

  const std::int64_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::int64_t reserved_ = 0;
  std::int64_t in_flight_ = 0;
  std::int64_t peak_ = 0;
  std::int64_t next_ticket_ = 0;
  std::int64_t serving_ = 0;
};

/// Resident set of this process now, and its highest value so far, in bytes.
[[nodiscard]] std::int64_t current_rss();
[[nodiscard]] std::int64_t peak_rss();
/// Starts the peak anew from what is resident now, where the kernel allows it: for benchmarks.
void reset_peak_rss();

/// What the job or node gives all of its processes here: the smallest of physical memory, the
/// cgroup's limit and Slurm's SLURM_MEM_PER_NODE, in bytes.
[[nodiscard]] std::int64_t available_memory();

/// What a process's buffers may take: its memory less what it already holds and what no buffer
/// accounts for. \param memory resident bytes that it may have; 0: 70% of its share of what the
/// `processes` here are given
/// \throws Error(input) if that is next to nothing
[[nodiscard]] std::int64_t buffer_limit(std::int64_t memory, int processes = 1);

/// For the program's start: what is freed in pieces below a megabyte stays with the process to be
/// used again, because touching new pages costs more than decoding into them; larger pieces go back
/// at once, so that RSS follows the budget.
void keep_small_buffers();

/// Gives freed heap pages back to the system (between passes, so that RSS follows the budget).
void trim_heap();

}  // namespace cellmill
