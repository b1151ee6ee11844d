#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "analysis/run_inputs.hpp"
#include "cellmill/anndata/column_join.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/parallel.hpp"

namespace cellmill {

/// The joined obs: every column of the plates, categories merged by name, and the label. Any rank
/// can write any rows: it reads them from the plates itself, whoever reads their counts, so nothing
/// is sent.
class ObsOutput {
 public:
  /// Reads what columns and levels there are.
  ObsOutput(const RunInputs& inputs, const CellPlan& plan, const RunOptions& options);

  /// Creates obs and all its arrays in the output. Rank 0.
  void create(Group& root, StoreFormat format);

  /// Writes output rows [rows), which begin and end at multiples of unit_rows() (or at the end), in
  /// parallel. \param root the output, opened for writing; where another process called create, its
  /// arrays are opened \param check asked before each block; throws to stop
  void write(Group& root, Range rows, Arena& arena, const std::function<void()>& check);

  [[nodiscard]] std::int64_t unit_rows() const { return layout_.chunk_rows; }

 private:
  /// Some output rows as rows of one plate.
  struct Piece {
    std::int32_t plate = 0;
    Range rows;              ///< of the plate
    std::vector<bool> keep;  ///< which of them are output rows
  };
  [[nodiscard]] std::vector<Piece> pieces_of(Range output_rows) const;
  [[nodiscard]] ColumnRows column_rows(const JoinedColumn& column,
                                       const std::vector<Piece>& pieces) const;
  [[nodiscard]] Strings index_rows(const std::vector<Piece>& pieces) const;
  [[nodiscard]] ColumnRows label_rows(const std::vector<Piece>& pieces) const;

  const RunInputs& inputs_;
  const CellPlan& plan_;
  const RunOptions& options_;
  std::vector<JoinedColumn> columns_;
  std::vector<std::string> skipped_;  ///< columns that can't be read
  ColumnInfo label_;
  Strings plate_names_;
  RowLayout layout_;
};

}  // namespace cellmill
