#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "cellmill/anndata/dataframe.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

// AnnData's elements written into any Group, HDF5 or Zarr, with the encodings and versions that
// anndata 0.8 to 0.13 write (docs/formats.md). Names must not hold a "/".
// ------------------------------------------------------------------------------------------------

/// How the rows of a large array are stored; codec names as in ArraySpec.
struct RowLayout {
  std::int64_t chunk_rows = 0;  ///< 0: all rows in one chunk
  std::int64_t shard_rows = 0;  ///< 0: not sharded; Zarr v3 only
  std::string codec = "zstd";   ///< HDF5 takes gzip for zstd
};

/// Rows in a chunk of a dataframe's columns: so many that a column of any length is at most a few
/// hundred files.
[[nodiscard]] std::int64_t frame_chunk_rows(std::int64_t n_rows);

/// What makes a root group an AnnData: its encoding, and the groups layers, obsm, varm, obsp, varp
/// and uns, empty. obs, var and X are the caller's to write.
void write_anndata_root(Group& root);

/// An empty mapping: a group of encoding `dict`.
std::unique_ptr<Group> create_dict(Group& parent, const std::string& name);

/// An array of encoding `array` (`string-array` for strings), to be filled by its writer.
std::unique_ptr<ArrayWriter> create_element(Group& parent, const std::string& name,
                                            const ArraySpec& spec);

/// The group of a CSR matrix; its arrays `data`, `indices` and `indptr` are the caller's to create.
std::unique_ptr<Group> create_csr_matrix(Group& parent, const std::string& name,
                                         std::int64_t n_rows, std::int64_t n_cols);

/// The group `raw` of an AnnData, with an empty varm; its X and var are the caller's to write.
std::unique_ptr<Group> create_raw(Group& root);

// Dataframes
// ------------------------------------------------------------------------------------------------

/// The group of a dataframe with these columns; its index and columns are the caller's to create.
std::unique_ptr<Group> create_dataframe(Group& parent, const std::string& name,
                                        const std::vector<std::string>& column_order,
                                        const std::string& index_name = "_index");

/// A writer of the index: strings.
std::unique_ptr<ArrayWriter> create_index(Group& frame, std::int64_t n_rows,
                                          const RowLayout& layout,
                                          const std::string& index_name = "_index");

/// A column of a dataframe being written, block of rows by block.
class ColumnWriter {
 public:
  ColumnWriter() = default;
  ColumnWriter(const ColumnWriter&) = delete;
  ColumnWriter& operator=(const ColumnWriter&) = delete;
  virtual ~ColumnWriter() = default;
  /// As ArrayWriter::unit_rows.
  [[nodiscard]] virtual std::int64_t unit_rows() const = 0;
  /// Rows [first_row, …) from the members that the column's kind fills; the rule for rows is
  /// ArrayWriter's. \throws Error(input) if a code or number does not fit the column
  virtual void write(std::int64_t first_row, const ColumnRows& rows) = 0;
};

/// Creates a column's arrays. \param levels of a categorical column, text or (where the column's
/// dtype is a number) numbers as text; codes take the smallest signed integer that holds them
std::unique_ptr<ColumnWriter> create_column(Group& frame, const ColumnInfo& column,
                                            std::int64_t n_rows, const Strings& levels,
                                            const RowLayout& layout);

/// Writers of an index or column that another process created, with as many levels: each writes
/// rows of its own.
std::unique_ptr<ArrayWriter> open_index(Group& frame, const std::string& index_name = "_index");
std::unique_ptr<ColumnWriter> open_column(Group& frame, const ColumnInfo& column,
                                          std::int64_t n_levels);

/// A whole index or column at once.
void write_index(Group& frame, const Strings& names, const std::string& index_name = "_index");
void write_column(Group& frame, const ColumnInfo& column, const ColumnRows& rows,
                  const Strings& levels = {});

// Small elements
// ------------------------------------------------------------------------------------------------

void write_text(Group& parent, const std::string& name, const std::string& value);
void write_texts(Group& parent, const std::string& name, const Strings& values);
/// One number or truth value. Instantiated for bool, int32_t, int64_t, float, double.
template <class T>
void write_number(Group& parent, const std::string& name, T value);
/// A dense array, 1-D if no shape. Instantiated for int8_t, int32_t, int64_t, float, double.
template <class T>
void write_dense(Group& parent, const std::string& name, std::span<const T> values,
                 std::vector<std::int64_t> shape = {});
/// Truth values, one byte each (0, 1).
void write_truths(Group& parent, const std::string& name, std::span<const std::uint8_t> values,
                  std::vector<std::int64_t> shape = {});

/// A JSON value as AnnData has it in uns: objects are dicts, arrays of one kind are arrays, others
/// (also null, and a null in an object is left out) are JSON text. "/" in a key becomes "|".
void write_json(Group& parent, const std::string& name, const nlohmann::json& value);

}  // namespace cellmill
