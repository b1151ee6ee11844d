#include "cellmill/bench/file_rates.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cellmill/storage/scratch_file.hpp"

namespace cellmill {

FileRates file_rates(Arena& arena, const std::filesystem::path& folder, std::int64_t memory,
                     double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t most_blocks = 48;
  constexpr std::int64_t block_bytes = std::int64_t{4} << 20;
  const auto blocks = std::clamp<std::int64_t>(memory / block_bytes - 1, 1, most_blocks);
  const std::vector<std::byte> block(static_cast<std::size_t>(block_bytes), std::byte{1});
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(blocks));
  std::vector<std::vector<std::byte>> read(offsets.size(), std::vector<std::byte>(block.size()));
  const auto bytes = static_cast<double>(block_bytes * blocks);
  const auto rate_of = [&](const auto& body) {
    const auto begin = Clock::now();
    arena.for_each(blocks, body);
    return bytes / std::chrono::duration<double>(Clock::now() - begin).count();
  };
  FileRates best;
  const auto begin = Clock::now();
  do {
    ScratchFile file(folder);
    best.write_bytes = std::max(best.write_bytes, rate_of([&](std::int64_t i) {
                                  offsets[static_cast<std::size_t>(i)] = file.append(block);
                                }));
    best.read_bytes = std::max(best.read_bytes, rate_of([&](std::int64_t i) {
                                 file.read(offsets[static_cast<std::size_t>(i)],
                                           read[static_cast<std::size_t>(i)]);
                               }));
  } while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
  return best;
}

}  // namespace cellmill
