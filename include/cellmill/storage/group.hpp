#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cellmill/storage/array.hpp"

namespace cellmill {

enum class NodeKind { none, group, array };
enum class StoreFormat {
  hdf5,
  zarr2,
  zarr3,
  mtx  ///< text of 10x, read through a view of it; never written
};

/// How a new array is laid out. Codec names: "none", "gzip", "zstd", "lz4" (blosc-lz4 with
/// shuffle); Zarr only: "zstd", "lz4"; Zarr v3 only, numbers in one dimension: "packed_rows"
/// (storage/packed_rows.hpp, with a checksum). HDF5: "none" (contiguous, allocated early, not
/// filled) and "gzip" (chunked).
struct ArraySpec {
  DType dtype = DType::float32;
  std::vector<std::int64_t> shape;        ///< empty: a scalar
  std::vector<std::int64_t> chunk_shape;  ///< empty: one chunk
  std::vector<std::int64_t>
      shard_shape;  ///< empty: not sharded; a multiple of chunk_shape; Zarr v3 only
  std::string codec = "zstd";
  int level = -1;  ///< -1: the codec's own default here (gzip 4, zstd 3, lz4 5)
  /// "lz4": bytes that blosc compresses together, which is what decoding a part of a chunk costs at
  /// least; 0: blosc's own choice.
  std::int64_t block_bytes = 0;
  bool checksums = false;  ///< each chunk ends with its crc32c; Zarr v3 only
  /// Of dates and durations, as in ArrayInfo; the dtype is int64. HDF5 has no such types: there the
  /// numbers are plain.
  std::string time;
};

/// A column of a table in one array: numbers as native elements, or strings.
struct TableColumn {
  std::string name;
  DType dtype = DType::float32;
  RawVector<std::byte> values;
  Strings strings;
};

/// An array being written. Zarr: different units may be written by different processes.
class ArrayWriter {
 public:
  ArrayWriter() = default;
  ArrayWriter(const ArrayWriter&) = delete;
  ArrayWriter& operator=(const ArrayWriter&) = delete;
  virtual ~ArrayWriter() = default;

  /// Rows that are written together: a chunk's, or a shard's. 1 where rows can be placed freely
  /// (contiguous HDF5).
  [[nodiscard]] virtual std::int64_t unit_rows() const = 0;

  /// Writes rows [first_row, first_row + n) of all columns, native elements in C order. `first_row`
  /// is a multiple of unit_rows, and so is n unless the rows end the array. Thread-safe for
  /// different rows (HDF5 locks). \throws Error(io), saying how much was wanted, if the disk is
  /// full
  virtual void write_rows(std::int64_t first_row, std::span<const std::byte> rows) = 0;

  /// Writes chunks that pack_chunk() made, to an array whose codec is "packed_rows": consecutive
  /// ones that hold the elements from `first_row` on; the same rule for rows. (write_rows() makes
  /// one row of each chunk.) \throws Error(input) if the array has another codec, or a chunk other
  /// elements than its place asks for
  virtual void write_packed(std::int64_t first_row, std::span<const RawVector<std::byte>> chunks);

  /// Variable-length strings, all of a row together in C order; the same rule for rows. Zarr
  /// writes them in chunks of whole rows only.
  virtual void write_strings(std::int64_t first_row, const Strings& rows) = 0;
};

/// A group in an HDF5 file or a Zarr store, for reading and (if opened so) writing. One interface,
/// because AnnData is the same tree in both. Names may be paths (`obs/__categories/x`). Not
/// thread-safe but for reading.
class Group {
 public:
  Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  virtual ~Group() = default;

  /// For messages: `plate1.h5ad: obs`.
  [[nodiscard]] virtual const std::string& location() const = 0;
  [[nodiscard]] virtual StoreFormat format() const = 0;
  [[nodiscard]] virtual NodeKind kind(const std::string& name) const = 0;
  [[nodiscard]] virtual std::vector<std::string> keys() const = 0;  ///< sorted

  /// \throws Error(missing) if there is none of that name, Error(input) if it is of the other kind
  [[nodiscard]] virtual std::unique_ptr<Group> group(const std::string& name) const = 0;
  [[nodiscard]] virtual std::unique_ptr<Array> array(const std::string& name) const = 0;

  /// One field of a table in one array (`ArrayInfo::fields`), of one dimension, as an array of its
  /// own: numbers, booleans or strings. Where each row holds several values (old obsm), they are
  /// its further axes. A whole chunk of the table is read for one of the field.
  /// \throws Error(missing) if there is no such array or field, Error(input) if it is no table
  [[nodiscard]] virtual std::unique_ptr<Array> field(const std::string& name,
                                                     const std::string& field) const = 0;

  /// Attributes of this group, or of the element `name`, as JSON: strings, numbers, booleans,
  /// arrays of them. An HDF5 object reference reads as the path it points to.
  [[nodiscard]] virtual nlohmann::json attributes(const std::string& name = "") const = 0;

  // Writing
  // ---------------------------------------------------------------------------------------------------------
  /// Groups on the way to `name` are made too. \throws Error(input) if there is such an element
  virtual std::unique_ptr<Group> create_group(const std::string& name) = 0;
  /// Creates the array's metadata; the data comes by its writer. Another process may open it with
  /// `open_writer`.
  virtual std::unique_ptr<ArrayWriter> create_array(const std::string& name,
                                                    const ArraySpec& spec) = 0;
  /// A table in one array, as numpy's structured arrays (scanpy's rank_genes_groups) are kept: HDF5
  /// compounds with strings of variable length; records in one chunk in Zarr, strings as UCS-4 of
  /// the longest one's length. \throws Error(input) if the columns differ in length or there are
  /// none
  virtual void create_table(const std::string& name, std::span<const TableColumn> columns) = 0;
  /// Python's None, as anndata writes it: an array without a value in HDF5, a false in Zarr.
  virtual void create_null(const std::string& name) = 0;
  /// A writer of an array that exists. For processes that write different units of the same Zarr
  /// array.
  virtual std::unique_ptr<ArrayWriter> open_writer(const std::string& name) = 0;
  /// Adds these attributes to an element's, or to this group's if `name` is empty; replaces those
  /// of the same name.
  virtual void set_attributes(const std::string& name, const nlohmann::json& attributes) = 0;
  virtual void flush() = 0;
};

enum class OpenMode { read, create, update };  ///< create fails if the path exists

/// The root group of an HDF5 file.
[[nodiscard]] std::unique_ptr<Group> open_hdf5(const std::filesystem::path& path,
                                               OpenMode mode = OpenMode::read);
/// The root group of a Zarr store: a folder or, for reading, a zip archive with the store in its
/// root. The format matters for `create` only. Where no element below the root has a document of
/// its own, consolidated metadata says what there is.
[[nodiscard]] std::unique_ptr<Group> open_zarr(const std::filesystem::path& path,
                                               OpenMode mode = OpenMode::read,
                                               StoreFormat format = StoreFormat::zarr3);
/// The root group of whatever is there, for reading: an HDF5 file, a Zarr v2 or v3 folder or zip
/// archive.
/// \throws Error(not_found) if nothing is there, Error(input) if it is neither
[[nodiscard]] std::unique_ptr<Group> open_store(const std::filesystem::path& path);

/// Writes consolidated metadata into a Zarr store's root: v2 `.zmetadata`, v3 inline in zarr.json.
/// Last of all: Python believes it, and would not see what is written later.
void consolidate_zarr(const std::filesystem::path& path);

/// A plain numeric Zarr array through the z5 library; a second implementation behind `Array`, for
/// stores that z5 made and as a check on ours. \throws Error(input) for what z5 can't do (strings,
/// bool, 0-d, sharded, big-endian v3), or if this build has no z5
[[nodiscard]] std::unique_ptr<Array> open_z5_array(const std::filesystem::path& store,
                                                   const std::string& name);
[[nodiscard]] std::unique_ptr<ArrayWriter> create_z5_array(const std::filesystem::path& store,
                                                           const std::string& name,
                                                           const ArraySpec& spec,
                                                           StoreFormat format);
[[nodiscard]] bool have_z5();

// Small arrays in one call
// ----------------------------------------------------------------------------------------
template <class T>
void write_array(Group& group, const std::string& name, std::span<const T> values,
                 std::vector<std::int64_t> shape = {},
                 const std::string& codec = "zstd");  ///< 1-D if no shape; HDF5 takes gzip for zstd
void write_string_array(Group& group, const std::string& name, const Strings& values);
void write_string_scalar(Group& group, const std::string& name, const std::string& value);
template <class T>
void write_scalar(Group& group, const std::string& name, T value);

}  // namespace cellmill
