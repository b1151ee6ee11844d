#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/array.hpp"

namespace cellmill {

// What this machine's codecs can do at most: decoded bytes per second with all of the arena's
// threads, each on chunks of its own that are in memory already. Best of several rounds of about
// `seconds` in all.

/// gzip (level 4) of counts as h5ad files hold them: float32 values and int32 columns, chunks of
/// 17,000 elements.
[[nodiscard]] double inflate_rate(Arena& arena, double seconds = 0.5);
/// blosc-lz4 with byte shuffle, of the same.
[[nodiscard]] double blosc_rate(Arena& arena, double seconds = 0.5);
/// Rows of 1,750 counts out of packed rows (storage/packed_rows.hpp) in random order, columns to
/// int32 and counts to float32, a batch of 64 after the other in the same place: cells per second.
[[nodiscard]] double packed_rows_rate(Arena& arena, double seconds = 0.5);
/// memcpy of 1 MiB blocks, out of the caches where `memory`, which its buffers may take, is more
/// than they hold; 256 MiB are enough.
[[nodiscard]] double copy_rate(Arena& arena, std::int64_t memory, double seconds = 0.5);
/// The chunks of an array on disk, as many as `most_bytes` decoded hold, evenly spread.
[[nodiscard]] double decode_rate(Arena& arena, const Array& array, std::int64_t most_bytes,
                                 double seconds = 0.5);

/// Chunks of arrays on disk, fetched into memory to be decoded again and again.
class ChunkSample {
 public:
  /// Fetches a share (0 to 1] of the array's chunks, evenly spread, at least one.
  void add(std::unique_ptr<Array> array, double share);
  [[nodiscard]] std::int64_t decoded_bytes() const { return decoded_bytes_; }
  /// Decodes each once, each thread into a small buffer of its own that stays in its cache, and
  /// takes the next chunk when it is done with one.
  void decode(Arena& arena) const;

 private:
  std::vector<std::unique_ptr<Array>> arrays_;
  std::vector<std::pair<const Array*, EncodedChunk>> chunks_;
  std::int64_t decoded_bytes_ = 0;
  std::size_t largest_ = 0;  ///< decoded bytes of the largest chunk
};

}  // namespace cellmill
