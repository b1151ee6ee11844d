#include "input.hpp"
#include "storage/zarr_shards.hpp"

// A shard's index: flags, the shard's length, then its entries and checksum.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellmill;
  FuzzInput input(data, size);
  const std::uint8_t flags = input.byte();
  const std::int64_t shard_bytes = input.number();
  ZarrMetadata metadata;
  metadata.index_checksum = (flags & 1U) != 0;
  metadata.index_big_endian = (flags & 2U) != 0;
  const auto index = input.rest();
  const std::size_t behind = metadata.index_checksum ? 4 : 0;
  if (index.size() < behind) return 0;
  const auto count = static_cast<std::int64_t>((index.size() - behind) / 16);
  may_refuse([&] {
    for (const Range& range : parse_shard_index(index, count, metadata, shard_bytes)) {
      if (range.begin < 0 || range.size() < 0 || range.end > shard_bytes) __builtin_trap();
    }
  });
  return 0;
}
