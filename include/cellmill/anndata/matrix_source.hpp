#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cellmill/anndata/csr_chunk.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/core/ranges.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/array.hpp"
#include "cellmill/storage/chunk_cache.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

/// Rows of a matrix as read from disk, not yet decoded.
struct FetchedRows {
  Range rows;
  std::vector<std::int64_t>
      indptr;  ///< of these rows, rows + 1 offsets into the whole matrix (CSR)
  FetchedRange indices;
  FetchedRange values;
  [[nodiscard]] std::int64_t encoded_bytes() const {
    return indices.encoded_bytes() + values.encoded_bytes();
  }
  /// Memory, also what is kept for the next use.
  [[nodiscard]] std::int64_t held_bytes() const {
    return indices.held_bytes() + values.held_bytes();
  }
};

/// One row as the disk holds it, decoded: native elements of the arrays' own types. Good while it
/// is being visited.
struct StoredRow {
  std::int64_t row = 0;  ///< of the source
  std::int64_t nnz = 0;
  DType index_dtype = DType::int32;
  const std::byte* indices = nullptr;
  DType value_dtype = DType::float32;
  const std::byte* values = nullptr;
};

/// Rows of X, of a layer or of raw as CsrChunks, whatever the disk holds. Values become float32, as
/// in scanpy. `fetch` runs on I/O threads, `decode` in tasks; both thread-safe.
class MatrixSource {
 public:
  MatrixSource() = default;
  MatrixSource(const MatrixSource&) = delete;
  MatrixSource& operator=(const MatrixSource&) = delete;
  virtual ~MatrixSource() = default;

  [[nodiscard]] virtual const std::string& location() const = 0;  ///< `plate1.h5ad: X`
  [[nodiscard]] virtual std::string encoding() const = 0;  ///< `csr_matrix`, `csc_matrix`, `array`
  [[nodiscard]] virtual DType dtype() const = 0;           ///< on disk
  [[nodiscard]] virtual std::int64_t n_rows() const = 0;
  [[nodiscard]] virtual std::int32_t n_cols() const = 0;
  [[nodiscard]] virtual std::int64_t nnz() const = 0;  ///< stored values; of a dense matrix all

  /// Offsets [range.begin … range.end] of the rows in the non-zeros: range.size() + 1 numbers.
  /// Checked to rise and to stay within nnz. Of a matrix that must be prepared: an even spread
  /// until it is. \throws Error(input) naming the row
  [[nodiscard]] virtual std::vector<std::int64_t> indptr(Range rows) const = 0;

  /// Most bytes that fetching and decoding `rows` will take, given their indptr (encoded, decoded;
  /// each kind apart).
  struct Cost {
    std::int64_t encoded = 0;
    std::int64_t decoded = 0;
  };
  [[nodiscard]] virtual Cost cost(Range rows, std::int64_t nnz) const = 0;

  /// Whether the disk holds rows (CSR); if not, prepare() is due before fetch().
  [[nodiscard]] virtual bool has_rows() const { return true; }

  /// Makes rows [rows) ready to be fetched. Does nothing where the disk holds rows (CSR). A CSC or
  /// dense matrix is sorted into rows once, in `scratch_folder` where it is larger than a few
  /// megabytes, in about 64 MiB of memory: CSC is read as a whole, of a dense one the chunks that
  /// hold these rows. What is fetched outside of what was prepared is prepared then, all of it.
  virtual void prepare(Range rows, const std::filesystem::path& scratch_folder,
                       Arena& arena) const {
    static_cast<void>(rows), static_cast<void>(scratch_folder), static_cast<void>(arena);
  }

  /// Into `out`, reusing its buffers.
  virtual void fetch(Range rows, FetchedRows& out) const = 0;
  [[nodiscard]] FetchedRows fetch(Range rows) const {
    FetchedRows fetched;
    fetch(rows, fetched);
    return fetched;
  }

  /// The same for who knows the rows' offsets already: random order must not read them again.
  /// \param offsets as indptr(rows) gives them \param cache which keeps what it has room for;
  /// matrices that were sorted into rows have no use for it
  virtual void fetch(Range rows, std::span<const std::int64_t> offsets, ChunkCache& cache,
                     FetchedRows& out) const {
    static_cast<void>(offsets), static_cast<void>(cache);
    fetch(rows, out);
  }

  /// Decodes into `out`, reusing its buffers. Rows are made canonical: columns sorted, duplicates
  /// added up. \throws Error(input) for a column outside the matrix, naming the row
  virtual void decode(const FetchedRows& fetched, CsrChunk& out) const = 0;

  // For training: row by row, without a chunk in between
  // ----------------------------------------------------------------------------------------------

  /// Shows each of the fetched rows in turn. Unlike decode() it neither sorts nor checks columns.
  virtual void visit_rows(const FetchedRows& fetched,
                          const std::function<void(const StoredRow&)>& visit) const;

  /// Whether rows are packed one by one on disk (PackedRows), so that decode_row() is quick.
  [[nodiscard]] virtual bool has_packed_rows() const { return false; }

  /// Checks what was fetched of packed rows: once, before decode_row().
  virtual void verify_packed(const FetchedRows& fetched) const { static_cast<void>(fetched); }

  /// A row (numbered as in the source) of what was fetched.
  struct PackedRow {
    const FetchedRows* fetched = nullptr;
    std::int64_t row = 0;
  };
  /// Decodes rows one behind the other, in the order asked. `indices` and `values` have room for
  /// all of them and PackedRows::slack more. Only where has_packed_rows(). \throws Error(input) for
  /// a column outside the matrix
  virtual void decode_rows(std::span<const PackedRow> rows, std::span<std::int32_t> indices,
                           std::span<float> values, Landing landing) const;

  // For copying
  // ----------------------------------------------------------------------------------------------
  /// The same with the numbers that the disk holds, which float32 need not, and rows as they are
  /// stored: columns in any order, perhaps repeated. As many values as indptr says. (Here, for
  /// matrices that are kept canonical and as float32.) \throws Error(input) also for a whole number
  /// from 2^53 on, which float64 can't be trusted with
  virtual void decode_stored(const FetchedRows& fetched, CsrRows<double>& out) const;

  /// Only the columns of `rows`, as stored: fetched and decoded in one, without the values.
  [[nodiscard]] virtual RawVector<std::int32_t> columns(Range rows) const;
};

/// The matrix in `parent` under `name` ("X", "layers/counts", "raw/X").
/// \throws Error(missing) if absent, Error(input) if its encoding is not one that can be read
[[nodiscard]] std::unique_ptr<MatrixSource> open_matrix(const Group& parent,
                                                        const std::string& name);

}  // namespace cellmill
