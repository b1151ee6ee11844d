#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/group.hpp"
#include "cellmill/train/shard.hpp"
#include "train/element_writer.hpp"
#include "train/narrow_rows.hpp"
#include "train/row_lengths.hpp"

namespace cellmill {

/// How the elements of a store's matrix are cut; decided once, before the first is written.
struct StoreLayout {
  StoreCodec codec = StoreCodec::portable;
  std::int64_t chunk_elements = 1;
  std::int64_t shard_chunks = 1;
  DType index_dtype = DType::uint16;
};

/// What has been written in whole shards: an interrupted run goes on from there.
struct StoreProgress {
  std::int64_t shards = 0;
  std::int64_t rows = 0;      ///< that end in these shards
  std::int64_t elements = 0;  ///< of the next row: those that lie in these shards
  DType value_dtype = DType::uint8;
};

/// The CSR matrix X of a training store, written row after row. Values begin in the narrowest type;
/// when rows come that need a wider one, what was written is converted. Memory holds the elements
/// of the rows being appended, and some encoded chunks of them.
class MatrixWriter {
 public:
  /// \param root the store \param folder its folder; X is an empty group there
  /// \param done what an earlier run wrote \param on_shard told whenever a shard is whole, and when
  /// the type of the values changed
  MatrixWriter(Group& root, const std::filesystem::path& folder, const StoreLayout& layout,
               Arena& arena, const StoreProgress& done,
               std::function<void(const StoreProgress&)> on_shard);

  /// Checks all that an earlier run wrote. \throws Error(input) naming the shard that is damaged
  void verify(const std::function<void()>& check) const;
  /// The type that the next rows should have at least. From any thread.
  [[nodiscard]] DType value_dtype() const { return value_dtype_; }
  /// The row that comes next; those before it are written.
  [[nodiscard]] std::int64_t next_row() const { return lengths_.rows(); }
  /// The next rows; one call at a time. \param first_row the number of their first one: rows before
  /// next_row() are passed over
  void append(std::int64_t first_row, const NarrowRows& rows);
  /// Writes what is left, the offsets of all rows and the arrays' documents. A run that ends in the
  /// midst of it can still be gone on with, until remove_notes().
  /// \param check asked now and then; throws to stop
  void finish(const std::function<void()>& check);

  /// Removes what only a run that goes on needs.
  void remove_notes() { lengths_.remove(); }

  [[nodiscard]] std::int64_t nonzeros() const { return lengths_.total(); }
  [[nodiscard]] std::int64_t shards() const { return indices_.shards(); }
  /// Of the finished matrix, on disk.
  [[nodiscard]] std::int64_t bytes() const { return indices_.bytes() + values_.bytes(); }

 private:
  void take(std::span<const std::byte> indices, std::span<const std::byte> values, DType dtype);
  void widen_to(DType dtype);
  enum class Rest { keep, write };  ///< what fills no chunk
  void write_chunks(Rest rest);
  void finish_shard();

  std::unique_ptr<Group> group_;
  Arena& arena_;
  std::int64_t shard_elements_;
  std::function<void(const StoreProgress&)> on_shard_;
  std::atomic<DType> value_dtype_;
  std::int64_t skip_elements_;  ///< of the next row: an earlier run wrote them
  RowLengths lengths_;
  ElementWriter indices_;
  ElementWriter values_;
};

}  // namespace cellmill
