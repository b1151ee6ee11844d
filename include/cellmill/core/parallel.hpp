#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace cellmill {

/// The threads that compute: one arena a rank. Results never depend on their number.
class Arena {
 public:
  explicit Arena(int threads);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] int threads() const;

  /// Runs `body(i)` for i in [0, count), in parallel, any order; returns when all are done. The
  /// first exception is rethrown. May be nested inside another task of this arena; a waiting outer
  /// task takes no other outer work.
  void for_each(std::int64_t count, const std::function<void(std::int64_t)>& body);

  /// A group of tasks that are started one by one and waited for together.
  class Tasks {
   public:
    explicit Tasks(Arena& arena);
    ~Tasks();
    Tasks(const Tasks&) = delete;
    Tasks& operator=(const Tasks&) = delete;
    /// Starts `task` and returns at once; from any thread. Exceptions it throws come out of wait().
    void run(std::function<void()> task);
    /// Waits until all tasks started so far are done; rethrows the first exception.
    void wait();

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The cores this rank was given: the affinity mask, the cgroup's CPU quota and
/// SLURM_CPUS_PER_TASK, whichever is least; an unbound mask is divided by the number of ranks on
/// this node. At least 1.
[[nodiscard]] int default_threads(int local_ranks);

/// Processor time of all threads of this process so far, in the system too.
[[nodiscard]] double processor_seconds();

}  // namespace cellmill
