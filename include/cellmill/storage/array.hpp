#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/dtype.hpp"
#include "cellmill/storage/strings.hpp"

namespace cellmill {

/// What an array on disk is. A 0-d scalar has an empty shape. `chunk_shape` is the unit that is
/// fetched and decoded: HDF5 chunks, Zarr chunks, the inner chunks of a Zarr shard; contiguous HDF5
/// data is cut into chunks of about 1 MiB.
struct ArrayInfo {
  std::string location;  ///< for messages and `info`: `plate1.h5ad: X/data`
  DType dtype = DType::float32;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> chunk_shape;
  std::string codecs;  ///< for `info`: `gzip(4)`, `shuffle+lzf`, `blosc(lz4)`, `none`
  /// Names of the fields of a table in one array (HDF5's compound types, numpy's structured ones),
  /// in their order; empty for every other array. Of such a table only this description is read
  /// and `dtype` means nothing; `Group::field` gives its fields as arrays.
  std::vector<std::string> fields;
  std::string time;  ///< of dates and durations, which are int64: numpy's type, `M8[ns]`, `m8[s]`
};

[[nodiscard]] std::int64_t element_count(const ArrayInfo& info);
[[nodiscard]] std::int64_t chunk_count(const ArrayInfo& info);
[[nodiscard]] std::int64_t chunk_elements(const ArrayInfo& info);  ///< of one whole chunk

/// The bytes of one chunk as they are on disk. Moves, but is not copied: `bytes` may be its own.
struct EncodedChunk {
  std::int64_t chunk = 0;            ///< row-major index in the chunk grid
  bool missing = false;              ///< never written: reads as the fill value
  std::uint32_t filter_mask = 0;     ///< HDF5: bit i set means filter i was skipped
  std::int64_t offset = -1;          ///< in the file, for messages; −1 where it means nothing
  bool verified = false;             ///< PackedRows::verify() found nothing wrong with it
  std::span<const std::byte> bytes;  ///< in `owned`, or in the FetchedChunks that it is one of
  RawVector<std::byte> owned;

  EncodedChunk() = default;
  EncodedChunk(EncodedChunk&&) noexcept = default;
  EncodedChunk& operator=(EncodedChunk&&) noexcept = default;
  EncodedChunk(const EncodedChunk&) = delete;
  EncodedChunk& operator=(const EncodedChunk&) = delete;
  ~EncodedChunk() = default;

  /// Makes `bytes` so many of its own, to be filled.
  std::span<std::byte> own(std::size_t size);
  void own(RawVector<std::byte> all);
  /// Another chunk, of no bytes yet; the room it owns stays.
  void begin(std::int64_t number);
};

/// Chunks that were fetched together. Made to be used again, by the same thread or another: bytes
/// that land in fresh pages cost more than reading them.
struct FetchedChunks {
  std::vector<EncodedChunk> chunks;
  RawVector<std::byte> room;  ///< of the bytes of those that don't own theirs
  [[nodiscard]] std::int64_t encoded_bytes() const;
  [[nodiscard]] std::int64_t held_bytes() const;  ///< memory, also what is kept for the next use
};

/// Where decoded elements go.
enum class Landing {
  caches,  ///< They are used at once.
  memory   ///< Past the caches: quicker for more elements than those hold (batches of megabytes).
};

/// Elements [part) of a chunk, numbered within it.
struct PackedPart {
  const EncodedChunk* chunk = nullptr;
  Range part;
};

/// Chunks whose elements are packed row by row, each row for itself: rows are decoded in any order
/// at their own cost, not the chunk's, and straight into what a batch holds. Thread-safe.
class PackedRows {
 public:
  /// Elements after the part that decode() may overwrite.
  static constexpr std::int64_t slack = 64;

  PackedRows() = default;
  PackedRows(const PackedRows&) = delete;
  PackedRows& operator=(const PackedRows&) = delete;
  virtual ~PackedRows() = default;

  /// Checks the checksum and the table of rows of a chunk: once, before its rows are decoded.
  /// \throws Error(input) naming the chunk
  virtual void verify(const EncodedChunk& encoded) const = 0;

  /// Elements [part) of the chunk, numbered within it, converted as a C++ cast does. Quick where
  /// the part is a row, or the piece of a row that the chunk holds. `out` has room for part.size()
  /// + slack elements. \throws Error(input) if the bytes are corrupt; never reads or writes outside
  void decode(const EncodedChunk& encoded, Range part, std::span<std::int32_t> out) const;
  void decode(const EncodedChunk& encoded, Range part, std::span<float> out) const;

  /// The same of many parts, one behind the other: what a thread has to do of a batch in one call,
  /// so that the bytes of the next parts are on their way while one is decoded.
  virtual void decode(std::span<const PackedPart> parts, std::span<std::int32_t> out,
                      Landing landing) const = 0;
  virtual void decode(std::span<const PackedPart> parts, std::span<float> out,
                      Landing landing) const = 0;
};

/// An array on disk. `fetch` may lock and wait, `decode` is pure: that is how a locked library
/// scales over threads. Both are thread-safe. Errors name the array's location and the chunk.
class Array {
 public:
  Array() = default;
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  virtual ~Array() = default;

  [[nodiscard]] virtual const ArrayInfo& info() const = 0;

  /// The bytes of a chunk. \throws Error(io) if they can't be read, Error(input) if the chunk table
  /// is corrupt
  [[nodiscard]] virtual EncodedChunk fetch(std::int64_t chunk) const = 0;

  /// Chunks [chunks) in order, into buffers that are used again: what lies together on disk is read
  /// together.
  virtual void fetch_many(Range chunks, FetchedChunks& into) const;

  /// Bytes that `fetch(chunk)` will read, 0 if missing (for budgets and for sequential reading).
  [[nodiscard]] virtual std::int64_t encoded_bytes(std::int64_t chunk) const = 0;

  /// Decodes one whole chunk (also where it hangs over the array's edge) to native elements, C
  /// order. `out` has chunk_elements × dtype_size bytes. Not for strings. \throws Error(input) if
  /// the bytes are corrupt or decode to another length
  virtual void decode(const EncodedChunk& encoded, std::span<std::byte> out) const = 0;

  /// Elements [part) of one chunk of a 1-D array, numbered within the chunk, as native elements:
  /// no more of the chunk is decoded than the codec requires, and what is best done in the cache is
  /// done there. `out`, anywhere in memory, has part.size() × dtype_size bytes. A checksum at the
  /// end of all bytes is checked only if the part reaches to the last element. (Here: decodes all
  /// of it.) \throws Error(input) as decode() does
  virtual void decode_part(const EncodedChunk& encoded, Range part, std::span<std::byte> out) const;

  /// How to decode rows one by one, where the chunks are made for it; else null.
  [[nodiscard]] virtual const PackedRows* packed_rows() const { return nullptr; }

  /// Strings of rows [range) of an array of any rank, in C order; of a 0-d array row 0 is its
  /// string. Variable length, fixed length or bytes.
  [[nodiscard]] virtual Strings read_strings(Range range) const = 0;

 protected:
  /// \throws Error(input) unless elements [part) lie in a chunk and fill so many bytes
  void expect_part(Range part, std::size_t bytes) const;
  [[nodiscard]] bool is_whole_chunk(Range part) const;
  /// Elements of a chunk of a 1-D array that are the array's: the last chunk hangs over its end.
  [[nodiscard]] std::int64_t filled_elements(std::int64_t chunk) const;
};

/// Elements [range) of a 1-D array, fetched but not decoded.
struct FetchedRange : FetchedChunks {
  Range range;
};

/// Reads the chunks that cover `range` of a 1-D array, in order. \throws Error(input) if the range
/// lies outside
[[nodiscard]] FetchedRange fetch_range(const Array& array, Range range);
/// The same into buffers that are used again.
void fetch_range(const Array& array, Range range, FetchedRange& into);

/// Decodes and converts to T what was fetched. Whole chunks of type T go straight into `out`
/// (range.size() elements). Calls from several threads on parts of the same FetchedRange are the
/// way to go parallel: `piece` of `pieces` decodes only its share of the chunks. Instantiated for
/// int32_t, int64_t, float, double.
template <class T>
void decode_range(const Array& array, const FetchedRange& fetched, std::span<T> out,
                  std::int64_t piece = 0, std::int64_t pieces = 1);

/// fetch + decode in one, for small arrays: elements [range) of a 1-D array, or all elements of an
/// array of any rank.
template <class T>
[[nodiscard]] std::vector<T> read_range(const Array& array, Range range);
template <class T>
[[nodiscard]] std::vector<T> read_all(const Array& array);

/// Rows [range) of an array of any rank as native elements of its own type, C order; of a 0-d array
/// row 0 is its value.
[[nodiscard]] RawVector<std::byte> read_row_bytes(const Array& array, Range range);

/// Rows [range) of an array of any rank (range.size() × product(shape[1:]) elements, C order).
template <class T>
[[nodiscard]] std::vector<T> read_rows(const Array& array, Range range);

}  // namespace cellmill
