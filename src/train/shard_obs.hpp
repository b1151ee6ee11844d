#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/anndata/column_join.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/train/shard.hpp"
#include "train/input_rows.hpp"
#include "train/keyed_permutation.hpp"

namespace cellmill {

/// obs of a training store: the columns chosen, joined (docs/formats.md, "Joined obs"), the label,
/// and names that tell the inputs apart, in the order of the store's rows. Written in windows of
/// rows; of a shuffled store each window reads through the inputs' columns, so windows are as large
/// as memory allows.
class ShardObs {
 public:
  /// Reads what columns and levels there are. \param shuffle the kept cell at each row; null: in
  /// order. \throws Error(missing) for a chosen column that no input has, Error(input) for one that
  /// can't be read
  ShardObs(const InputRows& rows, const ShardOptions& options, const KeyedPermutation* shuffle);

  /// \param memory for buffers \param check asked now and then; throws to stop
  void write(Group& root, std::int64_t memory, Arena& arena,
             const std::function<void()>& check) const;

 private:
  /// Some rows of a source, and which of them belong to a window.
  struct Piece {
    std::int32_t source = 0;
    Range rows;
    std::vector<bool> keep;
    std::int64_t kept = 0;
  };
  /// A window's rows in the order of the inputs, and where each of them goes; none: as they are.
  struct Window {
    Range rows;  ///< of the store
    std::vector<Piece> pieces;
    std::vector<std::int64_t> from;  ///< of each row of the window, its number in the pieces
  };
  [[nodiscard]] Window window(Range rows, Arena& arena) const;
  void add_piece(std::int64_t segment, std::vector<bool> keep, Window& to) const;
  [[nodiscard]] ColumnRows column_rows(const JoinedColumn& column, const Window& window) const;
  [[nodiscard]] ColumnRows label_rows(const Window& window) const;
  [[nodiscard]] Strings names(const Window& window) const;

  const InputRows& rows_;
  const ShardOptions& options_;
  const KeyedPermutation* shuffle_;
  std::vector<JoinedColumn> columns_;
};

}  // namespace cellmill
