#include "cellmill/stream/packed_rows.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cellmill/core/error.hpp"
#include "cellmill/stream/transforms.hpp"

// Integer work only, so the same bits from both.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CELLMILL_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CELLMILL_CLONES
#endif

namespace cellmill {
namespace {

constexpr std::uint64_t packed_magic = 0x31776f726b636170ULL;  // "packrow1"
constexpr std::int32_t far_step = 255;
constexpr std::uint8_t exception_field = 0;  // an explicit zero is rare enough to be an exception

struct Header {
  std::uint64_t magic = packed_magic;
  std::int64_t rows = 0;
  std::int64_t nnz = 0;
  std::int64_t exceptions = 0;
  std::int64_t index_bytes = 0;
  std::int64_t first_row = 0;
};

/// The parts of packed bytes, checked against each other.
struct Parts {
  Header header;
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
  if (packed.size() < sizeof(Header)) damaged();
  std::memcpy(&parts.header, packed.data(), sizeof(Header));
  const Header& h = parts.header;
  const auto size = static_cast<std::int64_t>(packed.size());
  if (h.magic != packed_magic || h.rows < 0 || h.nnz < 0 || h.exceptions < 0 ||
      h.index_bytes < h.nnz || h.rows > size || h.nnz > std::numeric_limits<std::int32_t>::max() ||
      h.index_bytes > size || h.exceptions > h.nnz ||
      static_cast<std::int64_t>(sizeof(Header)) + h.rows * 4 + h.index_bytes + (h.nnz + 1) / 2 +
              h.exceptions * 4 !=
          size) {
    damaged();
  }
  parts.lengths = packed.data() + sizeof(Header);
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

/// Index bytes of a row. `to` has room for a byte each column and one for every 255 columns of the
/// matrix, and `steps_together` more.
constexpr std::size_t steps_together = 32;

CELLMILL_CLONES std::uint8_t* pack_columns(const std::int32_t* columns, std::size_t count,
                                           std::uint8_t* to) {
  std::int32_t previous = -1;
  std::size_t k = 0;
  while (k < count) {
    if (k > 0 && count - k >= steps_together) {
      std::uint32_t far = 0;
      for (std::size_t i = 0; i < steps_together; ++i) {
        const auto step = static_cast<std::uint32_t>(columns[k + i] - columns[k + i - 1]);
        far |= step;
        to[i] = static_cast<std::uint8_t>(step);
      }
      if (far <= far_step) {
        to += steps_together;
        k += steps_together;
        previous = columns[k - 1];
        continue;
      }
    }
    const std::size_t stop = std::min(count, k + steps_together);
    for (; k < stop; ++k) {
      std::int32_t step = columns[k] - previous;
      for (; step > far_step; step -= far_step) *to++ = 0;
      *to++ = static_cast<std::uint8_t>(step);
      previous = columns[k];
    }
  }
  return to;
}

constexpr std::size_t fields_together = 32;

/// Fields of up to `fields_together` values: the value itself for 1…15, else the exception mark.
/// Adding 2²³ leaves a whole number in a float's low bits; comparing as integers lets the loop
/// vectorise. \returns whether there is an exception
template <class Count>
[[gnu::always_inline]] inline bool make_fields(const float* values, Count count,
                                               std::uint8_t* field) {
  constexpr float whole_in_low_bits = 8388608.0F;
  std::uint32_t exceptions = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float shifted = values[i] + whole_in_low_bits;
    const std::uint32_t whole =
        std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(whole_in_low_bits);
    const auto back = std::bit_cast<std::uint32_t>(shifted - whole_in_low_bits);
    const bool same = back == std::bit_cast<std::uint32_t>(values[i]);
    const std::uint32_t kept = same && whole < 16 ? whole : exception_field;
    exceptions |= static_cast<std::uint32_t>(kept == exception_field);
    field[i] = static_cast<std::uint8_t>(kept);
  }
  return exceptions != 0;
}

/// Half bytes of all values; those that don't fit go to `exceptions`.
CELLMILL_CLONES void pack_values(const float* values, std::size_t count, std::uint8_t* to,
                                 RawVector<float>& exceptions) {
  std::array<std::uint8_t, fields_together> field{};
  for (std::size_t k = 0; k < count; k += fields_together) {
    const std::size_t left = count - k;
    // The constant count lets the compiler unroll.
    const bool some =
        left >= fields_together
            ? make_fields(values + k, std::integral_constant<std::size_t, fields_together>{},
                          field.data())
            : make_fields(values + k, left, field.data());
    const std::size_t here = std::min(left, fields_together);
    if (some) {
      for (std::size_t i = 0; i < here; ++i) {
        if (field[i] == exception_field) exceptions.push_back(values[k + i]);
      }
    }
    if (here < fields_together) std::fill(field.begin() + here, field.end(), exception_field);
    for (std::size_t i = 0; i < (here + 1) / 2; ++i) {
      to[k / 2 + i] = static_cast<std::uint8_t>(field[2 * i] | field[2 * i + 1] << 4U);
    }
  }
}

}  // namespace

Packed pack_rows(const CsrChunk& rows) {
  Header header;
  header.rows = rows.n_rows();
  header.nnz = rows.nnz();
  header.first_row = rows.first_row;
  const auto n_rows = static_cast<std::size_t>(header.rows);
  const auto nnz = static_cast<std::size_t>(header.nnz);
  const std::size_t fields = (nnz + 1) / 2;
  const std::size_t most_index_bytes =
      nnz + n_rows * static_cast<std::size_t>(rows.n_cols / far_step + 1) + steps_together;

  Packed packed(sizeof(Header) + n_rows * sizeof(std::uint32_t) + fields + most_index_bytes);
  std::byte* at = packed.data() + sizeof(Header);
  for (std::size_t row = 0; row < n_rows; ++row) {
    const auto length = static_cast<std::uint32_t>(rows.indptr[row + 1] - rows.indptr[row]);
    std::memcpy(at, &length, sizeof(length));
    at += sizeof(length);
  }
  RawVector<float> exceptions;
  pack_values(rows.values.data(), nnz, reinterpret_cast<std::uint8_t*>(at), exceptions);
  at += fields;
  auto* index = reinterpret_cast<std::uint8_t*>(at);
  std::uint8_t* index_end = index;
  for (std::size_t row = 0; row < n_rows; ++row) {
    const auto begin = static_cast<std::size_t>(rows.indptr[row]);
    const auto end = static_cast<std::size_t>(rows.indptr[row + 1]);
    index_end = pack_columns(rows.indices.data() + begin, end - begin, index_end);
  }
  header.index_bytes = index_end - index;
  header.exceptions = static_cast<std::int64_t>(exceptions.size());
  const std::size_t before_exceptions =
      static_cast<std::size_t>(at - packed.data()) + static_cast<std::size_t>(header.index_bytes);
  packed.resize(before_exceptions + exceptions.size() * sizeof(float));
  std::memcpy(packed.data(), &header, sizeof(Header));
  if (!exceptions.empty()) {
    std::memcpy(packed.data() + before_exceptions, exceptions.data(),
                exceptions.size() * sizeof(float));
  }
  return packed;
}

void unpack_rows(std::span<const std::byte> packed, std::int32_t n_cols, CsrChunk& out) {
  const Parts parts = parts_of(packed);
  const Header& h = parts.header;
  out.first_row = h.first_row;
  out.n_cols = n_cols;
  out.indptr.resize(static_cast<std::size_t>(h.rows) + 1);
  out.indices.resize(static_cast<std::size_t>(h.nnz));
  out.values.resize(static_cast<std::size_t>(h.nnz));
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
  const Header& h = parts.header;
  const auto n_cols = static_cast<std::int32_t>(slot.size());
  out.first_row = h.first_row;
  out.n_cols = n_slots;
  out.indptr.resize(static_cast<std::size_t>(h.rows) + 1);
  out.indptr[0] = 0;
  // Positions (in the packed non-zeros) of what is kept; one more, because each candidate is
  // written before it counts.
  out.indices.resize(static_cast<std::size_t>(h.nnz) + 1);
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
