#pragma once

#include <cstdint>

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
/// memcpy of 1 MiB blocks out of the caches.
[[nodiscard]] double copy_rate(Arena& arena, double seconds = 0.5);
/// The chunks of an array on disk, as many as `most_bytes` decoded hold, evenly spread.
[[nodiscard]] double decode_rate(Arena& arena, const Array& array, std::int64_t most_bytes,
                                 double seconds = 0.5);

}  // namespace cellmill
