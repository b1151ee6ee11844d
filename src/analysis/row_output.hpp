#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "analysis/range_set.hpp"
#include "cellmill/comm/communicator.hpp"
#include "cellmill/comm/pulse.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/group.hpp"
#include "cellmill/storage/parallel_hdf5.hpp"

namespace cellmill {

/// An array of one row a cell (or one element a non-zero) that all ranks write together, each its
/// own contiguous rows, appended in order. Nothing of the size of the cells is held or gathered.
class RowOutput {
 public:
  RowOutput() = default;
  RowOutput(const RowOutput&) = delete;
  RowOutput& operator=(const RowOutput&) = delete;
  virtual ~RowOutput() = default;

  /// The next rows of this rank; one call at a time.
  virtual void append(std::span<const std::byte> rows) = 0;
  /// The next rows are written already (`done`).
  virtual void skip(std::int64_t rows) = 0;
  /// Rows that this rank has written so far, beside those that were done.
  [[nodiscard]] virtual RangeSet written() const = 0;
  /// **Collective.** After all ranks appended their rows: what a rank holds of another's unit goes
  /// there.
  virtual void exchange(Communicator& comm) = 0;
  /// Writes what is still held.
  virtual void finish() = 0;
};

/// How many whole units may wait to be encoded and written by tasks while more rows come; each
/// takes about twice its bytes. What comes beyond them is written by append itself.
struct UnitTasks {
  Arena* arena = nullptr;
  int at_once = 0;
};

/// Zarr: whole units (chunks or shards) are written by the rank in whose rows they begin. What a
/// rank holds of a unit that began before its rows, at most one unit, is sent to that rank at the
/// end. \param ranges the rows of every rank: contiguous, in order, from 0 to the array's length
/// \param done rows that an earlier run wrote: units that lie in them are not written again
[[nodiscard]] std::unique_ptr<RowOutput> make_unit_output(std::unique_ptr<ArrayWriter> writer,
                                                          std::size_t row_bytes,
                                                          std::vector<Range> ranges, int rank,
                                                          const UnitTasks& tasks = {},
                                                          RangeSet done = {});

/// Contiguous HDF5 through `file`, whose calls are made on the main thread by `control`.
[[nodiscard]] std::unique_ptr<RowOutput> make_placed_output(ParallelRows& file, std::string dataset,
                                                            std::size_t row_bytes,
                                                            std::int64_t first_row,
                                                            PulseControl& control);

}  // namespace cellmill
