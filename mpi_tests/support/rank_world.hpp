#pragma once

#include "cellmill/comm/communicator.hpp"

namespace cellmill {

/// The communicator over all ranks of a test under mpirun. The tests of mpi_tests/ranks run on
/// every rank at once, in the same order, so each of them may use collectives.
[[nodiscard]] Communicator& rank_world();

}  // namespace cellmill
