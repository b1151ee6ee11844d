#pragma once

#include "cellmill/comm/communicator.hpp"

namespace cellmill {

/// The communicator over all ranks of a test under mpirun. The tests of mpi_tests/ranks run on
/// every rank at once, in the same order, so each of them may use collectives.
[[nodiscard]] Communicator& rank_world();

/// Destroys it, as the end of a program does. For tests of just that, which end the process next.
void end_rank_world();

}  // namespace cellmill
