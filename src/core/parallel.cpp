#include "cellmill/core/parallel.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

namespace cellmill {

struct Arena::State {
  // All slots are for workers, so that the threads that only wait (main, I/O) take none. TBB keeps
  // to the cores it counted at start unless told otherwise: more threads than cores must still be
  // possible.
  explicit State(int n)
      : limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(n) + 1),
        arena(n, 0),
        threads(n) {}
  tbb::global_control limit;
  tbb::task_arena arena;
  int threads;
};

Arena::Arena(int threads) : state_(std::make_unique<State>(std::max(threads, 1))) {}
Arena::~Arena() = default;

int Arena::threads() const { return state_->threads; }

void Arena::for_each(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (count <= 0) return;
  if (count == 1 || state_->threads == 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  state_->arena.execute([&] {
    // Isolation: while this loop waits it must not start an outer task, whose buffers would then be
    // held in vain.
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(
          std::int64_t{0}, count, [&](std::int64_t i) { body(i); }, tbb::simple_partitioner());
    });
  });
}

struct Arena::Tasks::State {
  explicit State(Arena::State& owner) : arena(owner.arena) {}
  tbb::task_arena& arena;
  tbb::task_group group;
};

Arena::Tasks::Tasks(Arena& arena) : state_(std::make_unique<State>(*arena.state_)) {}

Arena::Tasks::~Tasks() {
  try {
    wait();
  } catch (...) {  // NOLINT(bugprone-empty-catch): wait() already gave the first exception to
                   // whoever asked
  }
}

void Arena::Tasks::run(std::function<void()> task) {
  state_->arena.enqueue(state_->group.defer(std::move(task)));
}

void Arena::Tasks::wait() {
  state_->arena.execute([&] { state_->group.wait(); });
}

namespace {

/// Whole CPUs of the cgroup's quota (version 2: `cpu.max` is "quota period"), or 0 if there is
/// none.
int cgroup_cpus() {
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  std::string path;
  while (std::getline(groups, line)) {
    if (line.starts_with("0::")) path = line.substr(3);
  }
  for (const std::string& file :
       {"/sys/fs/cgroup" + path + "/cpu.max", std::string("/sys/fs/cgroup/cpu.max")}) {
    std::ifstream quota_file(file);
    double quota = 0;
    double period = 0;
    if (quota_file >> quota >> period && quota > 0 && period > 0) {
      return std::max(1, static_cast<int>(std::floor(quota / period + 0.01)));
    }
  }
  return 0;
}

}  // namespace

int default_threads(int local_ranks) {
  const int machine = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  cpu_set_t mask;
  int bound = machine;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) bound = std::max(1, CPU_COUNT(&mask));
  int cpus = bound;
  if (const int quota = cgroup_cpus(); quota > 0) cpus = std::min(cpus, quota);
  // An unbound mask (or a quota) is shared by the ranks here; a mask narrower than the machine is
  // this rank's own.
  const bool unbound = bound >= static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  if (unbound) cpus = std::max(1, cpus / std::max(1, local_ranks));
  if (const char* slurm = std::getenv("SLURM_CPUS_PER_TASK"); slurm != nullptr) {
    const int given = std::atoi(slurm);
    if (given > 0) cpus = unbound ? std::min(given, bound) : std::min(cpus, given);
  }
  return cpus;
}

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace cellmill
