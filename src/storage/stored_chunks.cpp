#include "storage/stored_chunks.hpp"

#include <algorithm>
#include <tuple>

namespace cellmill {

namespace {

/// Bytes between two chunks that are read along rather than asked for apart.
constexpr std::int64_t small_gap = 16 << 10;

/// Chunks [first, end) lie in bytes [begin, begin + size) of one file.
struct Run {
  std::size_t first = 0;
  std::size_t end = 0;
  std::int64_t begin = 0;
  std::int64_t size = 0;
};

std::vector<Run> find_runs(std::span<const StoredChunk> stored) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const StoredChunk& one = stored[i];
    if (!runs.empty() && stored[i - 1].file == one.file) {
      Run& run = runs.back();
      const std::int64_t gap = one.offset - (run.begin + run.size);
      if (gap >= 0 && gap <= small_gap) {
        run.end = i + 1;
        run.size += gap + one.size;
        continue;
      }
    }
    runs.push_back({i, i + 1, one.offset, one.size});
  }
  return runs;
}

}  // namespace

void read_together(std::vector<StoredChunk> stored, RawVector<std::byte>& room,
                   const ReadFile& read) {
  std::ranges::sort(stored, {}, [](const StoredChunk& one) {
    return std::tuple(one.file, one.offset, one.size);
  });
  const std::vector<Run> runs = find_runs(stored);
  std::int64_t total = 0;
  for (const Run& run : runs) total += run.size;
  resize_for_reuse(room, static_cast<std::size_t>(total));
  std::span<std::byte> left = room;
  for (const Run& run : runs) {
    const std::span<std::byte> to = left.first(static_cast<std::size_t>(run.size));
    left = left.subspan(to.size());
    read(stored[run.first].file, run.begin, to);
    for (std::size_t i = run.first; i < run.end; ++i) {
      stored[i].chunk->bytes = to.subspan(static_cast<std::size_t>(stored[i].offset - run.begin),
                                          static_cast<std::size_t>(stored[i].size));
    }
  }
}

}  // namespace cellmill
