#include "cellmill/stream/packed_rows.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "cellmill/core/error.hpp"
#include "cellmill/stream/transforms.hpp"
#include "stream/packed_layout.hpp"

namespace cellmill {
namespace {

/// The parts of packed bytes, checked against each other.
struct Parts {
  PackedHeader header;
  const std::byte* lengths = nullptr;
  const std::uint8_t* index = nullptr;
  const std::uint8_t* fields = nullptr;
  const std::byte* exceptions = nullptr;

  [[nodiscard]] std::uint32_t length(std::int64_t row) const {
    std::uint32_t value = 0;
    std::memcpy(&value, lengths + row * 4, 4);
    return value;
  }
  [[nodiscard]] float exception(std::int64_t i) const {
    float value = 0;
    std::memcpy(&value, exceptions + i * 4, 4);
    return value;
  }
};

[[noreturn]] void damaged() {
  throw io_error("scratch cache: a block is not what was written; is the disk failing?");
}

Parts parts_of(std::span<const std::byte> packed) {
  Parts parts;
  if (packed.size() < sizeof(PackedHeader)) damaged();
  std::memcpy(&parts.header, packed.data(), sizeof(PackedHeader));
  const PackedHeader& h = parts.header;
  const auto size = static_cast<std::int64_t>(packed.size());
  if (h.magic != packed_magic || h.rows < 0 || h.nnz < 0 || h.exceptions < 0 ||
      h.index_bytes < h.nnz || h.rows > size || h.nnz > std::numeric_limits<std::int32_t>::max() ||
      h.index_bytes > size || h.exceptions > h.nnz ||
      static_cast<std::int64_t>(sizeof(PackedHeader)) + h.rows * 4 + h.index_bytes +
              (h.nnz + 1) / 2 + h.exceptions * 4 !=
          size) {
    damaged();
  }
  parts.lengths = packed.data() + sizeof(PackedHeader);
  const std::byte* at = parts.lengths + h.rows * 4;
  parts.fields = reinterpret_cast<const std::uint8_t*>(at);
  at += (h.nnz + 1) / 2;
  parts.index = reinterpret_cast<const std::uint8_t*>(at);
  parts.exceptions = at + h.index_bytes;
  std::int64_t total = 0;
  for (std::int64_t row = 0; row < h.rows; ++row) total += parts.length(row);
  if (total != h.nnz) damaged();
  return parts;
}

/// The next column of a row, from the index bytes.
inline std::int32_t next_column(const std::uint8_t*& at, const std::uint8_t* end,
                                std::int32_t column) {
  while (at < end && *at == 0) {
    column += far_step;
    ++at;
  }
  if (at >= end) damaged();
  return column + *at++;
}

/// Steps decoded together where none of them is far.
constexpr std::int64_t together = 8;

/// Whether the next `together` bytes are all near steps that stay within the columns.
inline bool all_near(const std::uint8_t* at, const std::uint8_t* end, std::int32_t column,
                     std::int32_t n_cols) {
  if (end - at < together || column >= n_cols - far_step * together) return false;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, at, sizeof(bytes));
  return ((bytes - 0x0101010101010101ULL) & ~bytes & 0x8080808080808080ULL) ==
         0;  // no byte is zero
}

/// Calls `take(column)` for each of a row's `length` columns.
template <class Take>
inline void for_each_column(const std::uint8_t*& at, const std::uint8_t* end, std::int64_t length,
                            std::int32_t n_cols, const Take& take) {
  std::int32_t column = -1;
  for (std::int64_t left = length; left > 0;) {
    if (left >= together && all_near(at, end, column, n_cols)) {
      for (std::int64_t i = 0; i < together; ++i) {
        column += at[i];
        take(column);
      }
      at += together;
      left -= together;
    } else {
      column = next_column(at, end, column);
      if (column >= n_cols) damaged();
      take(column);
      --left;
    }
  }
}

/// A chunk that rows of all genes were in before holds several times what rows of a few need, and
/// what nobody accounts for.
void drop_excess(std::size_t nnz, CsrChunk& out) {
  constexpr std::size_t worth_it = std::size_t{1} << 18;
  if (out.values.capacity() <= std::max(2 * nnz, worth_it)) return;
  out.indices = RawVector<std::int32_t>();  // `= {}` would keep the room
  out.values = RawVector<float>();
}

}  // namespace

void unpack_rows(std::span<const std::byte> packed, std::int32_t n_cols, CsrChunk& out) {
  const Parts parts = parts_of(packed);
  const PackedHeader& h = parts.header;
  out.first_row = h.first_row;
  out.n_cols = n_cols;
  out.indptr.resize(static_cast<std::size_t>(h.rows) + 1);
  drop_excess(static_cast<std::size_t>(h.nnz), out);
  resize_for_reuse(out.indices, static_cast<std::size_t>(h.nnz));
  resize_for_reuse(out.values, static_cast<std::size_t>(h.nnz));
  const std::uint8_t* at = parts.index;
  const std::uint8_t* end = parts.index + h.index_bytes;
  std::int64_t k = 0;
  out.indptr[0] = 0;
  for (std::int64_t row = 0; row < h.rows; ++row) {
    for_each_column(at, end, parts.length(row), n_cols, [&](std::int32_t column) {
      out.indices[static_cast<std::size_t>(k++)] = column;
    });
    out.indptr[static_cast<std::size_t>(row) + 1] = k;
  }
  std::int64_t exception = 0;
  for (k = 0; k < h.nnz; ++k) {
    const unsigned field = static_cast<unsigned>(parts.fields[k / 2]) >> (k % 2 * 4) & 15U;
    if (field == exception_field && exception >= h.exceptions) damaged();
    out.values[static_cast<std::size_t>(k)] =
        field == exception_field ? parts.exception(exception++) : static_cast<float>(field);
  }
}

void unpack_rows(std::span<const std::byte> packed, std::span<const std::int32_t> slot,
                 std::int32_t n_slots, CsrChunk& out) {
  const Parts parts = parts_of(packed);
  const PackedHeader& h = parts.header;
  const auto n_cols = static_cast<std::int32_t>(slot.size());
  out.first_row = h.first_row;
  out.n_cols = n_slots;
  out.indptr.resize(static_cast<std::size_t>(h.rows) + 1);
  out.indptr[0] = 0;
  // Positions (in the packed non-zeros) of what is kept; one more, because each candidate is
  // written before it counts.
  resize_for_reuse(out.indices, static_cast<std::size_t>(h.nnz) + 1);
  RawVector<std::int32_t> positions(static_cast<std::size_t>(h.nnz) + 1);
  std::int32_t* indices = out.indices.data();
  std::int32_t* position = positions.data();
  const std::uint8_t* at = parts.index;
  const std::uint8_t* end = parts.index + h.index_bytes;
  std::int32_t k = 0;
  std::size_t kept = 0;
  for (std::int64_t row = 0; row < h.rows; ++row) {
    for_each_column(at, end, parts.length(row), n_cols, [&](std::int32_t column) {
      const std::int32_t to = slot[static_cast<std::size_t>(column)];
      indices[kept] = to;
      position[kept] = k++;
      kept += to >= 0 ? 1 : 0;
    });
    out.indptr[static_cast<std::size_t>(row) + 1] = static_cast<std::int64_t>(kept);
  }
  out.indices.resize(kept);
  out.values.resize(kept);
  // Exceptions are stored in order, those of dropped columns too: count them up to each one that is
  // kept.
  std::int64_t exception = 0;
  std::int64_t counted = 0;
  const auto field_at = [&](std::int64_t i) { return parts.fields[i / 2] >> (i % 2 * 4) & 15U; };
  for (std::size_t i = 0; i < kept; ++i) {
    const unsigned field = field_at(position[i]);
    if (field != exception_field) {
      out.values[i] = static_cast<float>(field);
      continue;
    }
    for (; counted < position[i]; ++counted)
      exception += field_at(counted) == exception_field ? 1 : 0;
    if (exception >= h.exceptions) damaged();
    out.values[i] = parts.exception(exception);
  }
  sort_rows(out);
}

}  // namespace cellmill
