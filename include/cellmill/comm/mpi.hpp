#pragma once

#include <memory>

#include "cellmill/comm/communicator.hpp"

namespace cellmill {

/// MPI_Init (FUNNELED) and a communicator over all ranks; the destructor finalises. Without MPI in
/// the build: one rank. Call once, from main. Errors are returned, not fatal: each call's code is
/// checked.
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator();

/// Whether this build has MPI.
[[nodiscard]] bool have_mpi();

}  // namespace cellmill
