#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

/// How copied arrays are laid out. Sizes are of decoded bytes.
struct CopyLayout {
  std::string codec = "zstd";  ///< as in ArraySpec; HDF5 takes gzip for zstd and lz4
  int level = -1;
  std::int64_t chunk_bytes = 0;  ///< 0: 256 KiB; 4 MiB in Zarr v2, where each is a file
  std::int64_t shard_bytes = std::int64_t{64} << 20;  ///< Zarr v3; 0: not sharded
  std::int64_t memory = std::int64_t{256} << 20;      ///< for buffers
};

/// An array of that layout: whole rows in chunks of about the wanted size, the chunks in shards
/// where there are many.
[[nodiscard]] ArraySpec rows_spec(DType dtype, const std::vector<std::int64_t>& shape,
                                  const CopyLayout& layout, StoreFormat format);

/// Copies all that lies in a group, of an AnnData or not, into another of the same or another store
/// format: arrays block of rows by block on all threads, attributes, `None`. What anndata reads
/// from the copy is equal. \param on_bytes is told of decoded bytes as they are copied \throws
/// Error naming the element that can't be read or that the other format can't hold
void copy_group(const Group& from, Group& to, const CopyLayout& layout, Arena& arena,
                const std::function<void(std::int64_t)>& on_bytes = {});

}  // namespace cellmill
