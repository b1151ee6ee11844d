#include "cellmill/core/clones.hpp"
#include "cellmill/train/tokenizer.hpp"

namespace cellmill {
namespace {

/// Bound by four multiplications of 64 bits each: with AVX-512 a seventh of what they cost one by
/// one.
CELLMILL_WIDE_CLONES void draw(const CounterRng& rng, std::uint64_t row,
                               const std::int32_t* columns, std::size_t count, std::uint64_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = rng.bits(row | static_cast<std::uint32_t>(columns[i]));
  }
}

}  // namespace

void TokenDraws::bits(std::uint32_t in_batch, std::span<const std::int32_t> columns,
                      std::uint64_t* out) const {
  draw(rng_, std::uint64_t{in_batch} << 32, columns.data(), columns.size(), out);
}

}  // namespace cellmill
