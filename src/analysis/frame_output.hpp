#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cellmill/anndata/column_join.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/stream/segment.hpp"

namespace cellmill {

/// Which rows of several sources, one source after the other, are the rows of the output.
struct FrameRows {
  std::span<const Segment> segments;     ///< of all sources
  std::span<const std::int64_t> before;  ///< of each segment, and at the end: output rows in the
                                         ///< ones before
  /// Of some rows of a source: which of them are output rows. Null: all.
  std::function<std::vector<bool>(std::int32_t source, Range rows)> keep;

  [[nodiscard]] std::int64_t count() const { return before.back(); }
};

/// What a joined dataframe is made of; vectors have one element a source.
struct FrameParts {
  enum class Columns { of_any_source, of_all_sources };

  std::string name = "obs";               ///< of the dataframe in the output, perhaps in a group
  std::vector<const DataFrame*> rows;     ///< whose index names the rows
  std::vector<const DataFrame*> columns;  ///< whose columns they have; null: none
  Columns which = Columns::of_any_source;
  std::vector<std::string> suffixes;  ///< of the names of the rows
  std::string index_name = "_index";
  std::string label;              ///< a further column, that tells the source; empty: none
  std::vector<std::string> keys;  ///< its levels
};

/// A dataframe of the rows of several: columns joined (docs/formats.md, "Joined obs"), and perhaps
/// the label. Any rank can write any rows: it reads them from the sources itself, whoever reads
/// their counts, so nothing is sent.
class FrameOutput {
 public:
  /// Reads what columns and levels there are. What `rows` spans must stay.
  FrameOutput(FrameParts parts, FrameRows rows);

  /// Creates the dataframe and all its arrays in the output, and warns of columns that are left
  /// out. Rank 0.
  void create(Group& root, StoreFormat format);

  /// Writes output rows [rows), which begin and end at multiples of unit_rows() (or at the end), in
  /// parallel. \param root the output, opened for writing; where another process called create, its
  /// arrays are opened \param check asked before each block; throws to stop
  void write(Group& root, Range rows, Arena& arena, const std::function<void()>& check);

  [[nodiscard]] std::int64_t n_rows() const { return rows_.count(); }
  [[nodiscard]] std::int64_t unit_rows() const { return layout_.chunk_rows; }

 private:
  /// Some output rows as rows of one source.
  struct Piece {
    std::size_t source = 0;
    Range rows;              ///< of the source
    std::vector<bool> keep;  ///< which of them are output rows
  };
  [[nodiscard]] std::vector<Piece> pieces_of(Range output_rows) const;
  [[nodiscard]] ColumnRows column_rows(const JoinedColumn& column,
                                       const std::vector<Piece>& pieces) const;
  [[nodiscard]] Strings index_rows(const std::vector<Piece>& pieces) const;
  [[nodiscard]] static ColumnRows label_rows(const std::vector<Piece>& pieces);
  [[nodiscard]] ColumnInfo label_info() const;

  FrameParts parts_;
  FrameRows rows_;
  std::vector<JoinedColumn> columns_;
  std::vector<std::string> skipped_;  ///< columns that can't be read
  RowLayout layout_;
};

}  // namespace cellmill
