#pragma once

#include <optional>
#include <string>

namespace cellmill {

/// How many tasks the launcher says it started (SLURM_STEP_NUM_TASKS, OMPI_COMM_WORLD_SIZE,
/// PMI_SIZE), if it says. Never SLURM_NTASKS: sbatch sets that without srun.
[[nodiscard]] std::optional<int> launched_tasks();

/// Refuses to go on when the launcher started several tasks but the communicator sees one rank: N
/// processes would overwrite one output. \throws Error(usage) that says how to launch
void require_one_world(int communicator_size);

/// Refuses several tasks of a srun that gives MPI no means (PMIx, PMI) to join them, before MPI's
/// own start would fail with words of its own. \throws Error(usage) that says how to launch
void require_a_way_to_join();

}  // namespace cellmill
