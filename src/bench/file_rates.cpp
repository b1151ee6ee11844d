#include "cellmill/bench/file_rates.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cellmill/storage/scratch_file.hpp"

namespace cellmill {

FileRates file_rates(Arena& arena, const std::filesystem::path& folder, double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t blocks = 48;
  const std::vector<std::byte> block(std::size_t{4} << 20, std::byte{1});
  std::array<std::int64_t, blocks> offsets{};
  std::vector<std::vector<std::byte>> read(blocks, std::vector<std::byte>(block.size()));
  const double bytes = static_cast<double>(block.size()) * blocks;
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
