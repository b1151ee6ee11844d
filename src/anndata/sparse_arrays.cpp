#include "anndata/sparse_arrays.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

SparseShape read_sparse_shape(const Group& group) {
  const nlohmann::json attributes = group.attributes();
  const auto shape = attributes.find("shape");
  const bool sizes = shape != attributes.end() && shape->is_array() && shape->size() == 2 &&
                     (*shape)[0].is_number_integer() && (*shape)[1].is_number_integer();
  if (!sizes) {
    throw input_error(fmt::format("{}: attribute shape: {} found, expected two integers",
                                  group.location(),
                                  shape == attributes.end() ? "nothing" : shape->dump()));
  }
  const auto rows = (*shape)[0].get<std::int64_t>();
  const auto cols = (*shape)[1].get<std::int64_t>();
  constexpr std::int64_t most_rows = std::int64_t{1} << 62;  // so that one more is a number, too
  if (rows < 0 || rows > most_rows || cols < 0 || cols > std::numeric_limits<std::int32_t>::max()) {
    throw input_error(
        fmt::format("{}: shape {} × {} found, expected at most 2^62 rows and 2^31 − 1 columns",
                    group.location(), rows, cols));
  }
  return {rows, static_cast<std::int32_t>(cols)};
}

std::unique_ptr<Array> open_sparse_vector(const Group& group, const std::string& name) {
  std::unique_ptr<Array> array = group.array(name);
  const ArrayInfo& info = array->info();
  if (info.shape.size() != 1) {
    throw input_error(
        fmt::format("{}: has {} dimensions, expected 1", info.location, info.shape.size()));
  }
  const bool fits = name == "data" ? info.dtype != DType::string : is_integer(info.dtype);
  if (!fits) {
    throw input_error(fmt::format("{}: holds {}, expected {}", info.location,
                                  dtype_name(info.dtype), name == "data" ? "numbers" : "integers"));
  }
  return array;
}

void expect_elements(const Array& array, std::int64_t expected, const char* why) {
  const std::int64_t found = array.info().shape[0];
  if (found == expected) return;
  throw input_error(fmt::format("{}: {} elements found, expected {} ({})", array.info().location,
                                grouped(found), grouped(expected), why));
}

namespace {

/// Stored row or column numbers as int32; those that are none become −1. Two sweeps only where
/// there are such, because the first is vector code: its shifts see whether there are.
template <class Stored>
void narrow(std::span<const std::byte> from, std::span<std::int32_t> to) {
  const auto stored = [&](std::size_t i) {
    Stored value;
    std::memcpy(&value, from.data() + i * sizeof value, sizeof value);
    return value;
  };
  Stored outside = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const Stored value = stored(i);
    outside |= value >> 31U;
    to[i] = static_cast<std::int32_t>(value);
  }
  if (outside == 0) return;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (stored(i) >> 31U != 0) to[i] = -1;
  }
}

}  // namespace

void decode_indices(const Array& indices, const FetchedRange& fetched, std::span<std::int32_t> out,
                    std::int64_t piece, std::int64_t pieces) {
  const ArrayInfo& info = indices.info();
  const bool wide =
      info.dtype == DType::int64 || info.dtype == DType::uint64 || info.dtype == DType::uint32;
  if (!wide) return decode_range<std::int32_t>(indices, fetched, out, piece, pieces);

  // Narrowed here, because a cast would hide those outside. What is negative as int64 is far
  // outside as uint64.
  thread_local RawVector<std::byte> decoded;
  const Range mine = even_part(static_cast<std::int64_t>(fetched.chunks.size()), pieces, piece);
  for (std::int64_t i = mine.begin; i < mine.end; ++i) {
    const EncodedChunk& chunk = fetched.chunks[static_cast<std::size_t>(i)];
    const std::int64_t first = chunk.chunk * info.chunk_shape[0];
    const Range part{std::max(first, fetched.range.begin),
                     std::min(first + info.chunk_shape[0], fetched.range.end)};
    decoded.resize(static_cast<std::size_t>(part.size()) * dtype_size(info.dtype));
    indices.decode_part(chunk, {part.begin - first, part.end - first}, decoded);
    const auto to = out.subspan(static_cast<std::size_t>(part.begin - fetched.range.begin),
                                static_cast<std::size_t>(part.size()));
    if (info.dtype == DType::uint32) {
      narrow<std::uint32_t>(decoded, to);
    } else {
      narrow<std::uint64_t>(decoded, to);
    }
  }
}

}  // namespace cellmill
