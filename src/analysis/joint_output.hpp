#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/frame_output.hpp"
#include "analysis/row_output.hpp"
#include "cellmill/storage/output.hpp"
#include "cellmill/storage/parallel_hdf5.hpp"

namespace cellmill {

/// \throws Error(usage) for a name that ends neither in .zarr nor in .h5ad, or a Zarr format that
/// is neither 2 nor 3
void check_output(const std::filesystem::path& path, int zarr_format);

/// An AnnData that all ranks write together, Zarr or h5ad, under a partial name until it is whole.
/// Rank 0 makes its skeleton and everything small; dataframes and the arrays of the size of the
/// cells are written by all ranks (h5ad: dataframes by rank 0, because their strings can't be
/// written in parallel).
class JointOutput {
 public:
  /// On rank 0 takes the partial name. \throws Error if the output exists and may not be replaced
  JointOutput(std::filesystem::path path, int zarr_format, IfExists if_exists, Communicator& comm,
              Leftover leftover = Leftover::remove);

  [[nodiscard]] bool hdf5() const { return path_.extension() == ".h5ad"; }
  [[nodiscard]] StoreFormat format() const;

  /// **Collective.** `make` is called on rank 0 with the new, empty root and creates all elements
  /// but `frames`, which are created and written here.
  void create(std::span<FrameOutput> frames, Arena& arena,
              const std::function<void(Group& root)>& make);

  /// **Collective.** Instead: goes on with what an earlier run created under the partial name.
  void reopen();

  /// If the output does not come to its end, what is there stays for a later run.
  void keep_partial();
  [[nodiscard]] const std::filesystem::path& partial() const { return partial_; }

  /// Where this rank's rows of the array `name` go, once it is created. Within a pulse, whose
  /// control is given, and until that pulse ends. \param ranges the rows of every rank \param done
  /// rows that need not be written again
  [[nodiscard]] std::unique_ptr<RowOutput> rows(PulseControl& control, const std::string& name,
                                                std::size_t row_bytes,
                                                const std::vector<Range>& ranges,
                                                const UnitTasks& tasks = {}, RangeSet done = {});

  /// **Collective.** Once all rows are written: `last` is called on rank 0 to add what is known
  /// only now; then the output gets its name.
  void finish(const std::function<void(Group& root)>& last = {});

 private:
  [[nodiscard]] std::unique_ptr<Group> open(OpenMode mode) const;

  std::filesystem::path path_;
  int zarr_format_;
  Communicator& comm_;
  std::filesystem::path partial_;
  std::optional<AtomicOutput> atomic_;    ///< rank 0
  std::unique_ptr<Group> root_;           ///< while it is open
  std::unique_ptr<ParallelRows> placed_;  ///< h5ad, while rows are written
};

}  // namespace cellmill
