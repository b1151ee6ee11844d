#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "cellmill/comm/communicator.hpp"

namespace cellmill {

struct MpiOptions {
  /// Elements (bytes, for messages of bytes) in one MPI call: its counts are int, and OpenMPI 4.1
  /// cuts longer ones short without an error. The same on every rank.
  std::size_t part = std::size_t{1} << 26;
  /// A rank that others wait for and that says nothing for so long counts as dead: the job is
  /// aborted. It speaks whenever it waits, and in the pulse; between them there is no long work.
  std::chrono::milliseconds silence{20'000};
};

/// MPI_Init (FUNNELED) and a communicator over all ranks. Without MPI in the build: one rank. Call
/// once, from main. Errors are returned, not fatal: each call's code is checked. Waiting for other
/// ranks sleeps; MPI's own calls would spin.
///
/// The destructor waits for all ranks and finalises. After an error it waits 10 s for them and then
/// leaves without MPI_Finalize, which would hang: the launcher ends the rest.
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator(const MpiOptions& options = {});

/// Whether this build has MPI.
[[nodiscard]] bool have_mpi();

}  // namespace cellmill
