#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cellmill/anndata/dataframe.hpp"
#include "cellmill/storage/strings.hpp"

namespace cellmill {

/// A column over the rows of several dataframes, one after the other: what it is, and how each
/// frame's values become its (docs/formats.md, "Joined obs").
struct JoinedColumn {
  ColumnInfo info;
  Strings levels;                                   ///< categorical: of all frames, by name
  std::vector<std::int8_t> in_frame;                ///< whether the frame has the column
  std::vector<std::vector<std::int32_t>> code_map;  ///< categorical: each frame's code to ours
  std::vector<Strings> frame_levels;                ///< where categories become text
};

/// Whether no frame has a column of that name whose encoding is unknown. \param frames null: one
/// without any column
[[nodiscard]] bool readable_everywhere(const std::string& name,
                                       std::span<const DataFrame* const> frames);

/// Joins the columns of that name; at least one frame must have it. Levels of categories are read.
/// \param frames null: one without any column
[[nodiscard]] JoinedColumn join_column(const std::string& name,
                                       std::span<const DataFrame* const> frames);

/// Adds those of a frame's rows that are kept to the joined column.
/// \param from the frame's own column, of which `rows` were read
void append_rows(const JoinedColumn& column, std::size_t frame, const ColumnInfo& from,
                 const ColumnRows& rows, const std::vector<bool>& keep, ColumnRows& to);

/// The same for a frame without the column: `count` missing values.
void append_missing(const JoinedColumn& column, std::int64_t count, ColumnRows& to);

}  // namespace cellmill
