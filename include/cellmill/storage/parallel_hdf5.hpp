#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace cellmill {

/// Rows of contiguous HDF5 datasets written by all ranks at once through MPI-IO, independently of
/// each other. Parallel HDF5 1.10 writes no variable-length strings, so rank 0 makes the file with
/// the serial driver first, everything in it but these rows, and closes it. All calls on the thread
/// that initialised MPI.
class ParallelRows {
 public:
  ParallelRows() = default;
  ParallelRows(const ParallelRows&) = delete;
  ParallelRows& operator=(const ParallelRows&) = delete;
  /// **Collective** unless close() was called. Forgives all errors.
  virtual ~ParallelRows() = default;
  /// Rows [first_row, …) of dataset `name` (a path), native elements in C order. Any rank, any
  /// rows, no waiting for others. \throws Error(io) if they can't be written, Error(input) if they
  /// don't fit the dataset
  virtual void write(const std::string& name, std::int64_t first_row,
                     std::span<const std::byte> rows) = 0;
  /// **Collective.** Closes the file on all ranks. \throws Error(io) on every rank if one could
  /// not write
  virtual void close() = 0;
};

/// **Collective** over all ranks of the program, where this build has MPI and it runs; else the
/// same on one rank. Opens a file that exists, with the datasets in it.
/// \throws Error(io) on every rank if one can't open it
[[nodiscard]] std::unique_ptr<ParallelRows> open_parallel_rows(const std::filesystem::path& path);

}  // namespace cellmill
