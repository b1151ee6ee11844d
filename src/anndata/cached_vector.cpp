#include "anndata/cached_vector.hpp"

#include <span>
#include <utility>

namespace cellmill {

Range CachedVector::chunks_of(Range range) const {
  const std::int64_t size = array_->info().chunk_shape[0];
  return {range.begin / size, (range.end + size - 1) / size};
}

void CachedVector::load(Range chunks) const {
  cached_ = {};  // reading may throw
  const auto chunk_bytes =
      static_cast<std::size_t>(array_->info().chunk_shape[0]) * dtype_size(array_->info().dtype);
  decoded_.resize(static_cast<std::size_t>(chunks.size()) * chunk_bytes);
  std::span<std::byte> to(decoded_);
  for (std::int64_t chunk = chunks.begin; chunk < chunks.end; ++chunk) {
    array_->decode(array_->fetch(chunk), to.first(chunk_bytes));
    to = to.subspan(chunk_bytes);
  }
  cached_ = chunks;
}

template <class T>
std::vector<T> CachedVector::read(Range range) const {
  const ArrayInfo& info = array_->info();
  const auto width = static_cast<std::int64_t>(dtype_size(info.dtype));
  const bool inside = range.begin >= 0 && range.begin < range.end && range.end <= size();
  const Range chunks = inside ? chunks_of(range) : Range{};
  // What is not cached, or is wrong, is left to read_range.
  if (!inside || width == 0 || chunks.size() * info.chunk_shape[0] * width > most_bytes_) {
    return read_range<T>(*array_, range);
  }
  const std::scoped_lock lock(mutex_);
  if (chunks.begin < cached_.begin || chunks.end > cached_.end) load(chunks);
  const std::int64_t skipped = (range.begin - cached_.begin * info.chunk_shape[0]) * width;
  std::vector<T> values(static_cast<std::size_t>(range.size()));
  convert_elements<T>(
      info.dtype,
      std::span<const std::byte>(decoded_).subspan(static_cast<std::size_t>(skipped),
                                                   static_cast<std::size_t>(range.size() * width)),
      values);
  if (range.end == size()) {
    cached_ = {};
    decoded_ = {};
  }
  return values;
}

template std::vector<std::int32_t> CachedVector::read<std::int32_t>(Range) const;
template std::vector<std::int64_t> CachedVector::read<std::int64_t>(Range) const;
template std::vector<double> CachedVector::read<double>(Range) const;

}  // namespace cellmill
