#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/packed_rows.hpp"
#include "storage/codecs.hpp"
#include "storage/packed_rows_kernels.hpp"

namespace cellmill {

// The bytes of a chunk and of its fragments, as docs/formats.md lays them out.

/// Has bytes brought to the caches; of many the first, behind which the processor sees the rest.
inline void prefetch(std::span<const std::byte> bytes) {
  constexpr std::size_t line = 64;
  constexpr std::size_t most = 64 * line;
  for (std::size_t at = 0; at < bytes.size() && at < most; at += line) {
    __builtin_prefetch(bytes.data() + at);
  }
}

/// A chunk whose header is sound; its table and fragments are checked as they are looked at, so
/// that nothing outside the bytes is ever read.
class PackedChunk {
 public:
  /// A row, or the piece of one that the chunk holds.
  struct Fragment {
    Range elements;  ///< within the chunk
    std::span<const std::byte> bytes;
  };

  /// \throws Error(input)
  explicit PackedChunk(std::span<const std::byte> bytes);

  [[nodiscard]] PackedKind kind() const { return kind_; }
  [[nodiscard]] std::size_t element_width() const { return element_width_; }
  [[nodiscard]] std::int64_t elements() const { return elements_; }
  [[nodiscard]] std::int64_t fragments() const { return fragments_; }

  /// Has the table brought to the caches.
  void prefetch_table() const { prefetch(table_); }
  /// The fragment that holds an element; fragments() if none does.
  [[nodiscard]] std::int64_t find(std::int64_t element) const;
  /// \throws Error(input) if its place in the table is none
  [[nodiscard]] Fragment fragment(std::int64_t index) const;
  /// \throws Error(input) unless the fragments make up the chunk's elements and bytes exactly
  void check_table() const;

  /// The streams of a fragment of `indices` or `counts`. \throws Error(input) if they are not what
  /// its bytes hold
  [[nodiscard]] PackedFragment streams(const Fragment& fragment) const;

 private:
  [[nodiscard]] std::int64_t entry(std::int64_t index) const;
  [[nodiscard]] std::int64_t element_end(std::int64_t fragment) const { return entry(fragment); }
  [[nodiscard]] std::int64_t byte_end(std::int64_t fragment) const {
    return entry(fragments_ + fragment);
  }

  PackedKind kind_ = PackedKind::raw;
  std::size_t element_width_ = 1;
  std::size_t entry_width_ = 4;
  std::int64_t elements_ = 0;
  std::int64_t fragments_ = 0;
  std::span<const std::byte> table_;
  std::span<const std::byte> payload_;
};

/// Where a chunk's fragments end.
struct PackedTable {
  RawVector<std::uint32_t> element_ends;
  RawVector<std::uint32_t> byte_ends;  ///< in the payload
};

/// Header and table of a chunk, with room for `payload_bytes` behind them.
[[nodiscard]] Bytes begin_packed_chunk(PackedKind kind, std::size_t element_width,
                                       const PackedTable& table);

/// How the values of a fragment are split into streams of fields.
struct PackedWidths {
  std::uint32_t low = 0;                ///< lowest bits that are kept as they are, 0 to 6
  std::uint32_t levels[3] = {0, 0, 0};  ///< 0 to 7; escapes_end() of them is at most 255
};

/// The least value of the high bits that no level of fields can hold.
[[nodiscard]] constexpr std::uint32_t escapes_end(const std::uint32_t (&levels)[3]) {
  return (1U << levels[0]) + (1U << levels[1]) + (1U << levels[2]) - 3;
}

constexpr std::size_t most_fragment_header = 2 + 4 + 3 * 4;

/// No fragment of n values takes more: header, fields of 6 and three times 7 bits, a byte, 32 bits.
[[nodiscard]] constexpr std::size_t most_fragment_bytes(std::size_t n) {
  return most_fragment_header + 9 * n + 4;
}

/// Writes what stands before the streams of a fragment of n values; returns its length.
std::size_t write_fragment_header(const PackedWidths& widths, std::uint32_t base, std::uint32_t n,
                                  const std::uint32_t (&escapes)[3], std::byte* out);

/// Bytes that hold `count` fields of `bits` bits.
[[nodiscard]] constexpr std::uint64_t field_bytes(std::uint64_t count, std::uint32_t bits) {
  return (count * bits + 7) / 8;
}

}  // namespace cellmill
