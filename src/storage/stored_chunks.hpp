#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cellmill/storage/array.hpp"

namespace cellmill {

/// Where the bytes of a chunk lie, and the chunk that is to have them.
struct StoredChunk {
  std::int64_t file = 0;  ///< which of several files, as the caller numbers them
  std::int64_t offset = 0;
  std::int64_t size = 0;
  EncodedChunk* chunk = nullptr;
};

/// Reads bytes [offset, offset + to.size()) of a file.
using ReadFile =
    std::function<void(std::int64_t file, std::int64_t offset, std::span<std::byte> to)>;

/// Reads chunks into one room, in the order of the disk: those that lie together, or nearly so, by
/// one call of `read`. Sets their `bytes`.
void read_together(std::vector<StoredChunk> stored, RawVector<std::byte>& room,
                   const ReadFile& read);

}  // namespace cellmill
