#include "cellmill/comm/launch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

std::optional<int> positive_number(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  const std::string_view view(text);
  int number = 0;
  const auto [end, failure] = std::from_chars(view.data(), view.data() + view.size(), number);
  if (failure != std::errc{} || end != view.data() + view.size() || number < 1) return std::nullopt;
  return number;
}

Error not_joined(int tasks) {
  return usage_error(fmt::format(
      "the launcher started {0} tasks, but each of them sees only itself: {0} processes "
      "would overwrite one output. Launch with the mpirun of the MPI that cellmill was "
      "built with, or with `srun --mpi=pmix` (`srun --mpi=list` shows what there is); a "
      "build without MPI runs as one task",
      tasks));
}

}  // namespace

std::optional<int> launched_tasks() {
  // The largest: under `srun -n 4` a nested `mpirun -n 1` still runs four times.
  std::optional<int> tasks;
  for (const char* variable : {"SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    if (const auto number = positive_number(variable)) {
      tasks = std::max(tasks.value_or(0), *number);
    }
  }
  return tasks;
}

void require_one_world(int communicator_size) {
  const int tasks = launched_tasks().value_or(1);
  if (communicator_size > 1 || tasks == 1) return;
  throw not_joined(tasks);
}

void require_a_way_to_join() {
  const int tasks = positive_number("SLURM_STEP_NUM_TASKS").value_or(1);
  const auto is_set = [](const char* variable) { return std::getenv(variable) != nullptr; };
  constexpr std::array ways = {"PMIX_RANK", "PMI_RANK", "PMI_FD", "OMPI_COMM_WORLD_RANK"};
  if (tasks > 1 && std::none_of(ways.begin(), ways.end(), is_set)) throw not_joined(tasks);
}

}  // namespace cellmill
