#include "cellmill/stream/packed_rows.hpp"

#include <cstring>

#include "cellmill/core/error.hpp"
#include "cellmill/stream/transforms.hpp"

namespace cellmill {
namespace {

constexpr std::uint64_t packed_magic = 0x31776f726b636170ULL;  // "packrow1"
constexpr std::int32_t far_step = 255;
constexpr unsigned exception_field = 0;  // an explicit zero is rare enough to be an exception

struct Header {
  std::uint64_t magic = packed_magic;
  std::int64_t rows = 0;
  std::int64_t nnz = 0;
  std::int64_t exceptions = 0;
  std::int64_t index_bytes = 0;
  std::int64_t first_row = 0;
};

/// The four-bit field of a value: itself for 1…15, else the exception mark.
unsigned field_of(float value) {
  // The cast is only taken where it is defined; NaN fails the comparison.
  if (!(value >= 1.0F && value <= 15.0F)) return exception_field;
  const auto whole = static_cast<unsigned>(value);
  return static_cast<float>(whole) == value ? whole : exception_field;
}

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
      h.index_bytes < h.nnz || h.rows > size || h.index_bytes > size || h.exceptions > h.nnz ||
      static_cast<std::int64_t>(sizeof(Header)) + h.rows * 4 + h.index_bytes + (h.nnz + 1) / 2 +
              h.exceptions * 4 !=
          size) {
    damaged();
  }
  parts.lengths = packed.data() + sizeof(Header);
  const std::byte* at = parts.lengths + h.rows * 4;
  parts.index = reinterpret_cast<const std::uint8_t*>(at);
  at += h.index_bytes;
  parts.fields = reinterpret_cast<const std::uint8_t*>(at);
  parts.exceptions = at + (h.nnz + 1) / 2;
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

}  // namespace

std::vector<std::byte> pack_rows(const CsrChunk& rows) {
  Header header;
  header.rows = rows.n_rows();
  header.nnz = rows.nnz();
  header.first_row = rows.first_row;
  for (std::int64_t row = 0; row < header.rows; ++row) {
    std::int32_t previous = -1;
    const std::int64_t end = rows.indptr[static_cast<std::size_t>(row) + 1];
    for (std::int64_t k = rows.indptr[static_cast<std::size_t>(row)]; k < end; ++k) {
      const std::int32_t column = rows.indices[static_cast<std::size_t>(k)];
      header.index_bytes += 1 + (column - previous - 1) / far_step;
      previous = column;
    }
  }
  for (std::int64_t k = 0; k < header.nnz; ++k) {
    header.exceptions +=
        field_of(rows.values[static_cast<std::size_t>(k)]) == exception_field ? 1 : 0;
  }

  std::vector<std::byte> packed(
      sizeof(Header) + static_cast<std::size_t>(header.rows * 4 + header.index_bytes +
                                                (header.nnz + 1) / 2 + header.exceptions * 4));
  std::memcpy(packed.data(), &header, sizeof(Header));
  std::byte* lengths = packed.data() + sizeof(Header);
  auto* index = reinterpret_cast<std::uint8_t*>(lengths + header.rows * 4);
  auto* fields = index + header.index_bytes;
  auto* exceptions = reinterpret_cast<std::byte*>(fields + (header.nnz + 1) / 2);
  for (std::int64_t row = 0; row < header.rows; ++row) {
    const std::int64_t begin = rows.indptr[static_cast<std::size_t>(row)];
    const std::int64_t end = rows.indptr[static_cast<std::size_t>(row) + 1];
    const auto length = static_cast<std::uint32_t>(end - begin);
    std::memcpy(lengths + row * 4, &length, 4);
    std::int32_t previous = -1;
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int32_t column = rows.indices[static_cast<std::size_t>(k)];
      std::int32_t step = column - previous;
      for (; step > far_step; step -= far_step) *index++ = 0;
      *index++ = static_cast<std::uint8_t>(step);
      previous = column;
    }
  }
  for (std::int64_t k = 0; k < header.nnz; ++k) {
    const float value = rows.values[static_cast<std::size_t>(k)];
    const unsigned field = field_of(value);
    if (field == exception_field) {
      std::memcpy(exceptions, &value, 4);
      exceptions += 4;
    }
    if (k % 2 == 0) {
      fields[k / 2] = static_cast<std::uint8_t>(field);
    } else {
      fields[k / 2] = static_cast<std::uint8_t>(fields[k / 2] | field << 4U);
    }
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
    std::int32_t column = -1;
    for (const std::int64_t stop = k + parts.length(row); k < stop; ++k) {
      column = next_column(at, end, column);
      out.indices[static_cast<std::size_t>(k)] = column;
    }
    if (column >= n_cols) damaged();
    out.indptr[static_cast<std::size_t>(row) + 1] = k;
  }
  std::int64_t exception = 0;
  for (k = 0; k < h.nnz; ++k) {
    const unsigned field = parts.fields[k / 2] >> (k % 2 * 4) & 15U;
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
  std::vector<std::int32_t> position(static_cast<std::size_t>(h.nnz) + 1);
  const std::uint8_t* at = parts.index;
  const std::uint8_t* end = parts.index + h.index_bytes;
  std::int64_t k = 0;
  std::size_t kept = 0;
  for (std::int64_t row = 0; row < h.rows; ++row) {
    std::int32_t column = -1;
    for (const std::int64_t stop = k + parts.length(row); k < stop; ++k) {
      column = next_column(at, end, column);
      if (column >= n_cols) damaged();
      const std::int32_t to = slot[static_cast<std::size_t>(column)];
      out.indices[kept] = to;
      position[kept] = static_cast<std::int32_t>(k);
      kept += to >= 0 ? 1 : 0;
    }
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
