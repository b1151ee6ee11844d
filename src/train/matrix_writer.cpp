#include "train/matrix_writer.hpp"

#include <algorithm>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace cellmill {
namespace {

/// Blosc's blocks, so that a few rows can be decoded out of a chunk.
constexpr std::int64_t portable_block_bytes = std::int64_t{128} << 10;

ArraySpec spec_of(const StoreLayout& layout, DType dtype) {
  ArraySpec spec;
  spec.dtype = dtype;
  spec.chunk_shape = {layout.chunk_elements};
  spec.shard_shape = {layout.chunk_elements * layout.shard_chunks};
  spec.shape = spec.shard_shape;
  spec.codec = layout.codec == StoreCodec::fast ? "packed_rows" : "lz4";
  spec.block_bytes = portable_block_bytes;
  spec.checksums = true;
  return spec;
}

}  // namespace

MatrixWriter::MatrixWriter(Group& root, const std::filesystem::path& folder,
                           const StoreLayout& layout, Arena& arena, const StoreProgress& done,
                           std::function<void(const StoreProgress&)> on_shard)
    : group_(root.group("X")),
      arena_(arena),
      shard_elements_(layout.chunk_elements * layout.shard_chunks),
      on_shard_(std::move(on_shard)),
      value_dtype_(done.value_dtype),
      skip_elements_(done.elements),
      lengths_(folder, done.rows),
      indices_(*group_, folder / "X", "indices", spec_of(layout, layout.index_dtype),
               PackedKind::indices, done.shards),
      values_(*group_, folder / "X", "data", spec_of(layout, done.value_dtype), PackedKind::counts,
              done.shards) {
  std::error_code ignored;  // an interrupted run may have come so far
  std::filesystem::remove_all(folder / "X" / "indptr", ignored);
}

void MatrixWriter::verify(const std::function<void()>& check) const {
  arena_.for_each(2 * indices_.shards(), [&](std::int64_t i) {
    check();
    (i % 2 == 0 ? indices_ : values_).verify(i / 2);
  });
}

void MatrixWriter::append(std::int64_t first_row, const NarrowRows& rows) {
  const std::int64_t passed = std::min(next_row() - first_row, rows.n_rows());
  if (passed == rows.n_rows()) return;
  const auto offsets = std::span(rows.indptr).subspan(static_cast<std::size_t>(passed));
  lengths_.append(offsets);
  const std::int64_t begin = offsets.front() + std::exchange(skip_elements_, 0);
  const auto after = [&](const RawVector<std::byte>& elements, DType dtype) {
    return std::span<const std::byte>(elements).subspan(static_cast<std::size_t>(begin) *
                                                        dtype_size(dtype));
  };
  take(after(rows.indices, rows.index_dtype), after(rows.values, rows.value_dtype),
       rows.value_dtype);
  write_chunks(Rest::keep);
}

void MatrixWriter::take(std::span<const std::byte> indices, std::span<const std::byte> values,
                        DType dtype) {
  if (wider(dtype, value_dtype_) != value_dtype_) widen_to(dtype);
  const auto elements = static_cast<std::int64_t>(values.size() / dtype_size(dtype));
  const std::span<std::byte> room = indices_.extend(elements);
  std::copy(indices.begin(), indices.end(), room.begin());
  widen_values(values, dtype, value_dtype_, values_.extend(elements));
}

void MatrixWriter::widen_to(DType dtype) {
  value_dtype_ = dtype;
  values_.widen(dtype, lengths_.read_ends(), arena_);
  if (values_.shards() > 0) {
    const RowLengths::Place place = lengths_.place(values_.shards() * shard_elements_);
    on_shard_({values_.shards(), place.rows, place.elements, dtype});
  }
  values_.remove_narrower();
}

void MatrixWriter::write_chunks(Rest rest) {
  // Encoded chunks wait for each other, not for all of the rows.
  const std::int64_t at_once = std::int64_t{8} * arena_.threads();
  for (;;) {
    std::int64_t waiting = indices_.full_chunks();
    if (rest == Rest::write && waiting == 0 && indices_.has_rest()) waiting = 1;
    const std::int64_t count = std::min({at_once, waiting, indices_.room_in_shard()});
    if (count == 0) return;
    std::vector<RawVector<std::byte>> indices(static_cast<std::size_t>(count));
    std::vector<RawVector<std::byte>> values(static_cast<std::size_t>(count));
    arena_.for_each(2 * count, [&](std::int64_t i) {
      const std::int64_t chunk = i / 2;
      if (i % 2 == 0) {
        indices[static_cast<std::size_t>(chunk)] = indices_.encode(chunk, lengths_.ends());
      } else {
        values[static_cast<std::size_t>(chunk)] = values_.encode(chunk, lengths_.ends());
      }
    });
    indices_.write(indices);
    values_.write(values);
    if (indices_.room_in_shard() == 0) finish_shard();
  }
}

void MatrixWriter::finish_shard() {
  indices_.finish_shard();
  values_.finish_shard();
  const RowLengths::Place place = lengths_.place(indices_.shards() * shard_elements_);
  on_shard_({indices_.shards(), place.rows, place.elements, value_dtype_});
}

void MatrixWriter::finish(const std::function<void()>& check) {
  write_chunks(Rest::write);
  const std::int64_t elements = nonzeros();
  indices_.finish(elements);
  values_.finish(elements);
  lengths_.finish(*group_, "indptr", check);
}

}  // namespace cellmill
