#include "cellmill/storage/array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/group.hpp"
#include "storage/array_box.hpp"
#include "storage/enough_memory.hpp"

namespace cellmill {

namespace {

std::int64_t product(std::span<const std::int64_t> values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{1}, std::multiplies<>());
}

void expect_numbers(const ArrayInfo& info) {
  if (info.dtype == DType::string) {
    throw input_error(info.location + ": holds strings, expected numbers");
  }
}

void expect_inside(const ArrayInfo& info, Range range, const char* what) {
  const std::int64_t size = info.shape.empty() ? 1 : info.shape[0];
  if (range.begin < 0 || range.end < range.begin || range.end > size) {
    throw input_error(fmt::format("{}: {} {}–{} asked for, it has {}", info.location, what,
                                  grouped(range.begin), grouped(range.end), grouped(size)));
  }
}

void expect_one_axis(const ArrayInfo& info) {
  if (info.shape.size() != 1) {
    throw input_error(fmt::format("{}: has {} dimensions, expected 1", info.location,
                                  static_cast<int>(info.shape.size())));
  }
}

/// Room for one decoded chunk, kept by the thread so that its pages are touched once.
std::span<std::byte> scratch_for_chunk(const ArrayInfo& info) {
  thread_local RawVector<std::byte> buffer;
  const std::int64_t elements = chunk_elements(info);
  with_context(info.location, [&] { expect_memory(elements, dtype_size(info.dtype)); });
  const std::size_t bytes = static_cast<std::size_t>(elements) * dtype_size(info.dtype);
  if (buffer.size() < bytes) buffer.resize(bytes);
  return std::span(buffer).first(bytes);
}

/// Room for decoded elements that are converted next; another buffer, because decode_part may use
/// the one for a whole chunk.
std::span<std::byte> scratch_for_part(std::size_t bytes) {
  thread_local RawVector<std::byte> buffer;
  if (buffer.size() < bytes) buffer.resize(bytes);
  return std::span(buffer).first(bytes);
}

/// Chunks along the rows that touch `range`.
Range chunk_rows(const ArrayInfo& info, Range range) {
  if (range.empty()) return {};
  const std::int64_t rows = info.chunk_shape[0];
  return {range.begin / rows, (range.end - 1) / rows + 1};
}

/// The part of a chunk row that lies in `range`.
Range clip(const ArrayInfo& info, std::int64_t chunk_row, Range range) {
  const std::int64_t first = chunk_row * info.chunk_shape[0];
  return {std::max(first, range.begin), std::min(first + info.chunk_shape[0], range.end)};
}

template <class T>
std::vector<T> room_for(const ArrayInfo& info, std::int64_t elements) {
  with_context(info.location, [&] { expect_memory(elements, sizeof(T)); });
  return std::vector<T>(static_cast<std::size_t>(elements));
}

/// Decodes the one chunk of a 0-d array.
template <class T>
std::vector<T> read_scalar(const Array& array) {
  const std::span<std::byte> decoded = scratch_for_chunk(array.info());
  array.decode(array.fetch(0), decoded);
  std::vector<T> value(1);
  convert_elements<T>(array.info().dtype, decoded, value);
  return value;
}

}  // namespace

std::int64_t element_count(const ArrayInfo& info) { return product(info.shape); }

std::int64_t chunk_count(const ArrayInfo& info) {
  return product(chunk_grid(info.shape, info.chunk_shape));
}

std::int64_t chunk_elements(const ArrayInfo& info) { return product(info.chunk_shape); }

std::span<std::byte> EncodedChunk::own(std::size_t size) {
  resize_for_reuse(owned, size);
  bytes = owned;
  return owned;
}

void EncodedChunk::own(RawVector<std::byte> all) {
  owned = std::move(all);
  bytes = owned;
}

void EncodedChunk::begin(std::int64_t number) {
  chunk = number;
  missing = false;
  verified = false;
  filter_mask = 0;
  offset = -1;
  bytes = {};
}

std::int64_t FetchedChunks::encoded_bytes() const {
  std::int64_t bytes = 0;
  for (const EncodedChunk& chunk : chunks) bytes += static_cast<std::int64_t>(chunk.bytes.size());
  return bytes;
}

std::int64_t FetchedChunks::held_bytes() const {
  std::size_t bytes = room.capacity() + chunks.capacity() * sizeof(EncodedChunk);
  for (const EncodedChunk& chunk : chunks) bytes += chunk.owned.capacity();
  return static_cast<std::int64_t>(bytes);
}

void Array::fetch_many(Range chunks, FetchedChunks& into) const {
  into.chunks.clear();
  for (std::int64_t chunk = chunks.begin; chunk < chunks.end; ++chunk) {
    into.chunks.push_back(fetch(chunk));
  }
}

bool Array::is_whole_chunk(Range part) const {
  return part.begin == 0 && part.end == chunk_elements(info());
}

std::int64_t Array::filled_elements(std::int64_t chunk) const {
  const std::int64_t length = info().chunk_shape[0];
  return std::min(length, info().shape[0] - chunk * length);
}

void Array::expect_part(Range part, std::size_t bytes) const {
  if (info().shape.size() != 1) {
    throw input_error(fmt::format("has {} dimensions, expected 1", info().shape.size()));
  }
  const std::int64_t all = chunk_elements(info());
  if (part.begin < 0 || part.end < part.begin || part.end > all ||
      static_cast<std::size_t>(part.size()) * dtype_size(info().dtype) != bytes) {
    throw input_error(fmt::format("{} bytes of room for elements {}–{} of {}", bytes,
                                  grouped(part.begin), grouped(part.end), grouped(all)));
  }
}

void Array::decode_part(const EncodedChunk& encoded, Range part, std::span<std::byte> out) const {
  // What fits the cache is decoded there and copied: memcpy writes whole lines, which the processor
  // need not fetch from memory first; decoders, and the shuffle above all, write theirs in pieces.
  constexpr std::size_t in_cache = 512 << 10;
  if (is_whole_chunk(part) && out.size() > in_cache) return decode(encoded, out);
  with_context(info().location, [&] { expect_part(part, out.size()); });
  const std::size_t width = dtype_size(info().dtype);
  const std::span<std::byte> decoded = scratch_for_chunk(info());
  decode(encoded, decoded);
  if (out.empty()) return;
  std::memcpy(out.data(), decoded.data() + static_cast<std::size_t>(part.begin) * width,
              out.size());
}

void PackedRows::decode(const EncodedChunk& encoded, Range part,
                        std::span<std::int32_t> out) const {
  decode(std::array{PackedPart{&encoded, part}}, out, Landing::caches);
}

void PackedRows::decode(const EncodedChunk& encoded, Range part, std::span<float> out) const {
  decode(std::array{PackedPart{&encoded, part}}, out, Landing::caches);
}

void ArrayWriter::write_packed(std::int64_t /*first_row*/,
                               std::span<const RawVector<std::byte>> /*chunks*/) {
  throw input_error("packed rows can't be written to an array with another codec");
}

FetchedRange fetch_range(const Array& array, Range range) {
  FetchedRange fetched;
  fetch_range(array, range, fetched);
  return fetched;
}

void fetch_range(const Array& array, Range range, FetchedRange& into) {
  const ArrayInfo& info = array.info();
  expect_one_axis(info);
  expect_inside(info, range, "elements");
  const Range wanted = chunk_rows(info, range);
  with_context(info.location, [&] { expect_memory(wanted.size(), sizeof(EncodedChunk)); });
  into.range = range;
  array.fetch_many(wanted, into);
}

template <class T>
void decode_range(const Array& array, const FetchedRange& fetched, std::span<T> out,
                  std::int64_t piece, std::int64_t pieces) {
  const ArrayInfo& info = array.info();
  expect_numbers(info);
  if (static_cast<std::int64_t>(out.size()) != fetched.range.size()) {
    throw input_error(fmt::format("{}: {} elements fetched, room for {}", info.location,
                                  grouped(fetched.range.size()),
                                  grouped(static_cast<std::int64_t>(out.size()))));
  }
  const Range mine = even_part(static_cast<std::int64_t>(fetched.chunks.size()), pieces, piece);
  const std::size_t width = dtype_size(info.dtype);
  for (std::int64_t i = mine.begin; i < mine.end; ++i) {
    const EncodedChunk& chunk = fetched.chunks[static_cast<std::size_t>(i)];
    const Range part = clip(info, chunk.chunk, fetched.range);
    const std::span<T> to = out.subspan(static_cast<std::size_t>(part.begin - fetched.range.begin),
                                        static_cast<std::size_t>(part.size()));
    const std::int64_t first = chunk.chunk * info.chunk_shape[0];
    const Range inside{part.begin - first, part.end - first};
    if (info.dtype == dtype_of<T>()) {
      array.decode_part(chunk, inside, std::as_writable_bytes(to));
      continue;
    }
    const std::span<std::byte> decoded = scratch_for_part(to.size() * width);
    if (inside.size() == chunk_elements(info)) {
      array.decode(chunk, decoded);
    } else {
      array.decode_part(chunk, inside, decoded);
    }
    convert_elements<T>(info.dtype, decoded, to);
  }
}

template <class T>
std::vector<T> read_range(const Array& array, Range range) {
  expect_numbers(array.info());
  expect_one_axis(array.info());
  expect_inside(array.info(), range, "elements");
  // Room first: what can't be held need not be read.
  std::vector<T> out = room_for<T>(array.info(), range.size());
  const FetchedRange fetched = fetch_range(array, range);
  decode_range<T>(array, fetched, out);
  return out;
}

template <class T>
std::vector<T> read_all(const Array& array) {
  expect_numbers(array.info());
  if (array.info().shape.empty()) return read_scalar<T>(array);
  return read_rows<T>(array, {0, array.info().shape[0]});
}

RawVector<std::byte> read_row_bytes(const Array& array, Range range) {
  const ArrayInfo& info = array.info();
  expect_numbers(info);
  expect_inside(info, range, "rows");
  const std::size_t width = dtype_size(info.dtype);
  if (info.shape.empty()) {
    RawVector<std::byte> out(range.empty() ? 0 : width);
    if (!range.empty()) array.decode(array.fetch(0), out);
    return out;
  }
  const std::vector<std::int64_t> grid = chunk_grid(info.shape, info.chunk_shape);
  const std::vector<std::int64_t> strides = c_strides(info.shape);
  const std::vector<std::int64_t> chunk_strides = c_strides(info.chunk_shape);
  const std::int64_t chunks_a_row = product(std::span(grid).subspan(1));
  with_context(info.location, [&] { expect_memory(range.size() * strides[0], width); });
  RawVector<std::byte> out(static_cast<std::size_t>(range.size() * strides[0]) * width);

  const Range rows = chunk_rows(info, range);
  for (std::int64_t chunk = rows.begin * chunks_a_row; chunk < rows.end * chunks_a_row; ++chunk) {
    const std::vector<std::int64_t> at = grid_coordinates(chunk, grid);
    const Range part = clip(info, at[0], range);
    std::vector<std::int64_t> extent(info.shape.size());
    extent[0] = part.size();
    std::int64_t to = (part.begin - range.begin) * strides[0];
    for (std::size_t axis = 1; axis < extent.size(); ++axis) {
      const std::int64_t first = at[axis] * info.chunk_shape[axis];
      extent[axis] = std::min(info.chunk_shape[axis], info.shape[axis] - first);
      to += first * strides[axis];
    }
    const EncodedChunk encoded = array.fetch(chunk);
    std::byte* const place = out.data() + static_cast<std::size_t>(to) * width;
    if (extent == info.chunk_shape && strides == chunk_strides) {
      array.decode(encoded, {place, static_cast<std::size_t>(chunk_elements(info)) * width});
      continue;
    }
    const std::span<std::byte> decoded = scratch_for_chunk(info);
    array.decode(encoded, decoded);
    const std::int64_t skipped = (part.begin - at[0] * info.chunk_shape[0]) * chunk_strides[0];
    copy_box(extent, decoded.data() + static_cast<std::size_t>(skipped) * width, chunk_strides,
             place, strides, width);
  }
  return out;
}

template <class T>
std::vector<T> read_rows(const Array& array, Range range) {
  const ArrayInfo& info = array.info();
  expect_numbers(info);
  if (info.shape.empty()) {
    throw input_error(info.location + ": is a scalar, expected rows");
  }
  if (info.shape.size() == 1) {
    expect_inside(info, range, "rows");
    return read_range<T>(array, range);
  }
  const RawVector<std::byte> bytes = read_row_bytes(array, range);
  std::vector<T> out(bytes.size() / dtype_size(info.dtype));
  convert_elements<T>(info.dtype, bytes, out);
  return out;
}

#define CELLMILL_INSTANTIATE(T)                                                                \
  template void decode_range<T>(const Array&, const FetchedRange&, std::span<T>, std::int64_t, \
                                std::int64_t);                                                 \
  template std::vector<T> read_range<T>(const Array&, Range);                                  \
  template std::vector<T> read_all<T>(const Array&);                                           \
  template std::vector<T> read_rows<T>(const Array&, Range);
CELLMILL_INSTANTIATE(std::int32_t)
CELLMILL_INSTANTIATE(std::int64_t)
CELLMILL_INSTANTIATE(float)
CELLMILL_INSTANTIATE(double)
#undef CELLMILL_INSTANTIATE

}  // namespace cellmill
