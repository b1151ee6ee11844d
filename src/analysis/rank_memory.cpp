#include "analysis/rank_memory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cellmill/core/error.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Heap that no reservation accounts for: allocator slack, thread stacks, library state.
constexpr std::int64_t unaccounted = std::int64_t{24} << 20;

}  // namespace

std::int64_t buffer_limit(std::int64_t memory, const Communicator& comm) {
  if (memory <= 0) memory = available_memory() / 10 * 7 / std::max(1, comm.local_size());
  const std::int64_t limit = memory - current_rss() - unaccounted;
  if (limit < (std::int64_t{16} << 20)) {
    throw input_error(
        fmt::format("--memory {}: {} are taken before any data is read; at least {} are needed",
                    human_bytes(memory), human_bytes(current_rss() + unaccounted),
                    human_bytes(current_rss() + unaccounted + (std::int64_t{64} << 20))));
  }
  return limit;
}

}  // namespace cellmill
