#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/train/batch.hpp"
#include "cellmill/train/order.hpp"

namespace cellmill {

/// A batch of a window that is made here: other readers make the others.
struct WantedBatch {
  std::int64_t in_window = 0;     ///< its number there
  std::int64_t global_batch = 0;  ///< of the epoch
};

/// A window on its way from the disk to batches.
struct WindowWork {
  Window window;
  std::vector<WantedBatch> wanted;
  std::int64_t epoch = 0;

  /// A row that is needed, and where: rows[place] of the window.
  struct Target {
    std::int64_t row = 0;
    std::int32_t place = 0;
  };
  /// Neighbouring rows of one source that are fetched together.
  struct Read {
    std::int32_t source = 0;
    Range rows;     ///< of the source
    Range targets;  ///< in `targets`
  };
  std::vector<Target> targets;  ///< by row
  std::vector<Read> reads;
  std::vector<std::int32_t> read_of_place;  ///< −1: padding, or not wanted

  /// Rows of one matrix while the window is made.
  struct MatrixWork {
    /// Of each read; given back once decoded, unless packed.
    std::vector<std::shared_ptr<FetchedRows>> fetched;
    std::vector<std::int32_t> nnz;  ///< of each place, as decoded
    std::vector<double> totals;     ///< of each place, over all genes; empty unless needed
    /// Rows that keep only some of their values wait here, by read, for their batch.
    struct Staged {
      RawVector<std::int32_t> columns;
      RawVector<float> values;
    };
    std::vector<Staged> staged;
    std::vector<std::int64_t> staged_at;  ///< of each place, in its read's buffers
  };
  std::vector<MatrixWork> matrices;
  std::vector<std::vector<RawVector<float>>> obsm;  ///< of each, of each read: its rows

  std::vector<std::shared_ptr<Batch>> batches;  ///< of each wanted one, where made before composing
  MemoryBudget::Reservation memory;
};

}  // namespace cellmill
