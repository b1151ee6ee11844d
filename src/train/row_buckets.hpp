#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cellmill/anndata/csr_chunk.hpp"
#include "cellmill/core/ranges.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/scratch_file.hpp"
#include "train/narrow_rows.hpp"

namespace cellmill {

/// Rows on their way from one order to another: dealt to buckets of neighbouring places, which are
/// gathered in memory in small buffers and go to a scratch file when those are full; then each
/// bucket is read back and put in order in memory.
class RowBuckets {
 public:
  /// Rows of one bucket, packed.
  struct Dealt {
    std::int64_t bucket = 0;
    RawVector<std::byte> bytes;
  };

  /// How many buckets, so that one of them fits into a share of the memory, and a buffer of each
  /// does, too. \param row_bytes of a decoded row, about
  [[nodiscard]] static std::int64_t bucket_rows(std::int64_t n_rows, double row_bytes,
                                                std::int64_t memory);

  RowBuckets(std::int64_t n_rows, std::int64_t bucket_rows, std::shared_ptr<ScratchFile> scratch);

  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(buckets_.size()); }
  /// Places of a bucket.
  [[nodiscard]] Range places(std::int64_t bucket) const;
  /// Memory that the buffers take.
  [[nodiscard]] static std::int64_t buffer_bytes() { return flush_bytes; }

  /// Packs rows by bucket. Pure: in any task. \param place of each row
  [[nodiscard]] std::vector<Dealt> deal(const CsrChunk& rows,
                                        std::span<const std::int64_t> place) const;
  /// Keeps them. One call at a time.
  void put(const std::vector<Dealt>& dealt);
  /// After the last put().
  void flush();

  /// Bytes of a bucket, and what its rows take when they are unpacked and in order.
  [[nodiscard]] std::int64_t packed_bytes(std::int64_t bucket) const;
  [[nodiscard]] std::int64_t unpacked_bytes(std::int64_t bucket) const;
  [[nodiscard]] RawVector<std::byte> fetch(std::int64_t bucket) const;
  /// The rows of a bucket in the order of their places.
  /// \throws Error(io) if the bytes are not what was dealt
  void unpack(std::int64_t bucket, std::span<const std::byte> bytes, std::int32_t n_cols,
              DType index_dtype, DType least, NarrowRows& out) const;

 private:
  static constexpr std::int64_t flush_bytes = std::int64_t{64} << 10;

  struct Extent {
    std::int64_t offset = 0;
    std::int64_t bytes = 0;
  };
  struct Bucket {
    RawVector<std::byte> buffer;
    std::vector<Extent> extents;
    std::int64_t bytes = 0;
    std::int64_t nonzeros = 0;
  };
  void flush(Bucket& bucket);

  std::int64_t n_rows_;
  std::int64_t bucket_rows_;
  std::shared_ptr<ScratchFile> scratch_;
  std::vector<Bucket> buckets_;
};

}  // namespace cellmill
