#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cellmill/core/memory.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/array.hpp"
#include "cellmill/storage/chunk_cache.hpp"
#include "cellmill/train/dataset.hpp"
#include "cellmill/train/loader.hpp"
#include "train/joined_matrix.hpp"
#include "train/row_copy.hpp"
#include "train/shared_pool.hpp"
#include "train/token_writer.hpp"
#include "train/window_work.hpp"

namespace cellmill {

/// Makes the batches of a window, in stages that run apart: plan; for each part fetch (I/O) and
/// decode (tasks); when all parts are decoded, compose (tasks) each batch. Rows are decoded once
/// and written once, into their place in their batch; where they lose values on the way (chosen
/// genes) they wait in a buffer until the batch's offsets are known. Packed rows stay encoded until
/// their batch is composed. Thread-safe but for one window's plan.
class WindowReader {
 public:
  WindowReader(std::shared_ptr<const Dataset> data, ReadOptions options, Arena& arena,
               std::size_t pooled_batches);

  [[nodiscard]] const JoinedMatrix& matrix(std::size_t number) const { return *matrices_[number]; }
  [[nodiscard]] const ObsValues& obs(std::size_t column) const { return *obs_[column]; }
  /// Memory that is held as long as this.
  [[nodiscard]] std::int64_t standing_bytes() const;
  [[nodiscard]] ReadCounts counts() const;

  /// From now on keeps encoded chunks for the next epochs, in half of what the budget has beyond
  /// `left_free`. Before the first fetch; only the first call counts.
  void keep_chunks(MemoryBudget& budget, std::int64_t left_free);

  /// What to read for the wanted batches of a window.
  [[nodiscard]] std::shared_ptr<WindowWork> plan(Window window,
                                                 std::vector<WantedBatch> wanted) const;
  /// Most bytes that it takes until its batches are handed out, but for composed_bytes().
  [[nodiscard]] std::int64_t cost(const WindowWork& work) const;
  /// Of a batch of it what is made only when the batch is composed.
  [[nodiscard]] std::int64_t composed_bytes(const WindowWork& work) const;
  /// Makes room in batches whose rows are decoded straight into them; before fetch and decode.
  void begin(WindowWork& work) const;
  /// Reads [reads) of the window.
  void fetch(WindowWork& work, Range reads) const;
  void decode(WindowWork& work, Range reads) const;
  /// One of the wanted batches; after all reads were decoded.
  [[nodiscard]] std::shared_ptr<Batch> compose(WindowWork& work, std::size_t wanted) const;

 private:
  /// Genes are selected from rows.
  [[nodiscard]] bool composes_dense() const {
    return options_.layout == BatchLayout::dense && !options_.selection;
  }
  [[nodiscard]] bool stays_packed(std::size_t m) const { return matrices_[m]->packed(); }
  [[nodiscard]] bool goes_direct(std::size_t m) const {
    return !stays_packed(m) && (composes_dense() || matrices_[m]->keeps_all());
  }
  void check_selection() const;
  [[nodiscard]] std::shared_ptr<Batch> new_batch() const;
  [[nodiscard]] const RowTransform& transform(std::size_t m) const;
  [[nodiscard]] std::int64_t nnz_of(std::size_t m, std::int64_t row) const;
  void make_offsets(const WindowWork& work, std::size_t wanted, std::size_t m,
                    BatchMatrix& out) const;
  void decode_direct(WindowWork& work, std::size_t m, std::size_t read) const;
  void decode_staged(WindowWork& work, std::size_t m, std::size_t read) const;
  /// \param tokens takes the rows instead of `out`; null: none
  void compose_packed(WindowWork& work, std::size_t wanted, std::size_t m, BatchMatrix& out,
                      TokenWriter* tokens) const;
  void compose_staged(WindowWork& work, std::size_t wanted, std::size_t m, BatchMatrix& out) const;
  void compose_direct(WindowWork& work, std::size_t wanted, std::size_t m, BatchMatrix& out) const;
  void compose_matrix(WindowWork& work, std::size_t wanted, std::size_t m, BatchMatrix& out,
                      TokenWriter* tokens) const;
  void compose_tokens(WindowWork& work, std::size_t wanted, Batch& batch) const;
  void select_genes(const WindowWork& work, Batch& batch) const;
  void compose_obsm(WindowWork& work, std::size_t wanted, Batch& batch) const;
  /// Hands a row to the tokenizer. \param place of the row in the window
  void add_tokens(const WindowWork& work, std::size_t place, TokenInput cell,
                  TokenWriter& tokens) const;
  [[nodiscard]] bool needs_total(std::size_t m) const {
    return m == 0 && tokenizer_ && tokenizer_->needs_total();
  }
  struct Finished {
    std::int64_t nnz = 0;  ///< what is left
    double total = 0;      ///< of all genes; where it is needed
  };
  /// A decoded row through slots and transform.
  Finished finish_row(std::size_t m, std::int32_t source, RowBuffers row, std::int64_t nnz) const;

  /// A row as it goes into a batch; good until this thread's next one.
  struct FinishedView : RowView {
    double total = 0;
  };
  [[nodiscard]] FinishedView finished_row(std::size_t m, std::int32_t source,
                                          const StoredRow& row) const;

  std::shared_ptr<const Dataset> data_;
  ReadOptions options_;
  std::vector<std::unique_ptr<JoinedMatrix>> matrices_;
  std::unique_ptr<Tokenizer> tokenizer_;  ///< of the first matrix; null: none
  std::vector<std::shared_ptr<const ObsValues>> obs_;
  std::vector<std::vector<std::unique_ptr<Array>>> obsm_;  ///< of each, of each source
  std::vector<std::int64_t> obsm_columns_;
  MemoryBudget::Reservation kept_;
  mutable ChunkCache cache_;
  std::shared_ptr<SharedPool<Batch>> batches_;
  std::shared_ptr<SharedPool<FetchedRows>> fetched_;
  mutable std::atomic<std::int64_t> rows_handed_out_{0};
  mutable std::atomic<std::int64_t> rows_read_{0};
};

}  // namespace cellmill
