#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

namespace {

constexpr std::int64_t chunk_bytes_wanted = 16 << 20;
constexpr std::int64_t strings_a_chunk = 100'000;

std::int64_t count(std::span<const std::int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

/// Whole rows of about 16 MiB; nothing (one chunk) if all is less.
std::vector<std::int64_t> row_chunks(const std::vector<std::int64_t>& shape, std::size_t width) {
  const std::int64_t bytes = count(shape) * static_cast<std::int64_t>(width);
  if (shape.empty() || bytes <= chunk_bytes_wanted) return {};
  std::vector<std::int64_t> chunks = shape;
  chunks[0] = std::max<std::int64_t>(1, chunk_bytes_wanted / (bytes / shape[0]));
  return chunks;
}

std::string codec_for(const Group& group, const std::vector<std::int64_t>& shape,
                      const std::string& codec) {
  if (group.format() != StoreFormat::hdf5) return codec;
  // HDF5 compresses chunks only, and neither a scalar nor an empty array has one.
  if (shape.empty() || count(shape) == 0) return "none";
  return codec == "zstd" || codec == "lz4" ? "gzip" : codec;
}

}  // namespace

template <class T>
void write_array(Group& group, const std::string& name, std::span<const T> values,
                 std::vector<std::int64_t> shape, const std::string& codec) {
  const auto size = static_cast<std::int64_t>(values.size());
  if (shape.empty()) shape = {size};
  if (count(shape) != size) {
    throw input_error(fmt::format("{}: {} has {} values, its shape {}", group.location(), name,
                                  size, count(shape)));
  }
  ArraySpec spec;
  spec.dtype = dtype_of<T>();
  spec.shape = shape;
  spec.chunk_shape = row_chunks(shape, sizeof(T));
  spec.codec = codec_for(group, shape, codec);
  group.create_array(name, spec)->write_rows(0, std::as_bytes(values));
}

template <class T>
void write_scalar(Group& group, const std::string& name, T value) {
  ArraySpec spec;
  spec.dtype = dtype_of<T>();
  spec.codec = codec_for(group, {}, "zstd");
  group.create_array(name, spec)->write_rows(0, std::as_bytes(std::span(&value, 1)));
}

void write_string_array(Group& group, const std::string& name, const Strings& values) {
  ArraySpec spec;
  spec.dtype = DType::string;
  spec.shape = {values.size()};
  if (values.size() > strings_a_chunk) spec.chunk_shape = {strings_a_chunk};
  // HDF5 keeps the characters outside the chunks, where no filter reaches them.
  if (group.format() == StoreFormat::hdf5) spec.codec = "none";
  group.create_array(name, spec)->write_strings(0, values);
}

void write_string_scalar(Group& group, const std::string& name, const std::string& value) {
  ArraySpec spec;
  spec.dtype = DType::string;
  spec.codec = codec_for(group, {}, "zstd");
  Strings values;
  values.push_back(value);
  group.create_array(name, spec)->write_strings(0, values);
}

#define CELLMILL_INSTANTIATE(T)                                                \
  template void write_array<T>(Group&, const std::string&, std::span<const T>, \
                               std::vector<std::int64_t>, const std::string&); \
  template void write_scalar<T>(Group&, const std::string&, T);
CELLMILL_INSTANTIATE(bool)
CELLMILL_INSTANTIATE(std::int8_t)
CELLMILL_INSTANTIATE(std::int16_t)
CELLMILL_INSTANTIATE(std::int32_t)
CELLMILL_INSTANTIATE(std::int64_t)
CELLMILL_INSTANTIATE(std::uint8_t)
CELLMILL_INSTANTIATE(std::uint16_t)
CELLMILL_INSTANTIATE(std::uint32_t)
CELLMILL_INSTANTIATE(std::uint64_t)
CELLMILL_INSTANTIATE(float)
CELLMILL_INSTANTIATE(double)
#undef CELLMILL_INSTANTIATE

}  // namespace cellmill
