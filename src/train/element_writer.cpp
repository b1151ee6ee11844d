#include "train/element_writer.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "train/narrow_rows.hpp"

namespace cellmill {

namespace fs = std::filesystem;

ElementWriter::ElementWriter(Group& group, fs::path folder, std::string name, ArraySpec spec,
                             PackedKind kind, std::int64_t shards)
    : group_(group),
      folder_(std::move(folder)),
      name_(std::move(name)),
      spec_(std::move(spec)),
      kind_(kind),
      encoder_(spec_, kind),
      shards_(shards) {
  // An interrupted run may have ended in the middle of finish(), or of widen(), from this or to it.
  std::error_code ignored;
  if (fs::exists(folder_ / name_, ignored)) {
    fs::remove_all(folder_ / working_name(), ignored);
    fs::rename(folder_ / name_, folder_ / working_name());
  }
  for (const DType other : {DType::uint8, DType::uint16, DType::uint32, DType::float32}) {
    if (other != spec_.dtype) fs::remove_all(folder_ / (name_ + "-" + dtype_name(other)), ignored);
  }
  fs::remove(folder_ / working_name() / "zarr.json", ignored);
}

std::string ElementWriter::working_name() const { return name_ + "-" + dtype_name(spec_.dtype); }

std::span<std::byte> ElementWriter::extend(std::int64_t elements) {
  if (begin_ > 0) {
    elements_.erase(elements_.begin(), elements_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  const std::size_t old = elements_.size();
  elements_.resize(old + static_cast<std::size_t>(elements) * dtype_size(spec_.dtype));
  return std::span(elements_).subspan(old);
}

std::int64_t ElementWriter::chunk_bytes() const {
  return spec_.chunk_shape[0] * static_cast<std::int64_t>(dtype_size(spec_.dtype));
}

std::int64_t ElementWriter::shard_chunks() const {
  return spec_.shard_shape[0] / spec_.chunk_shape[0];
}

std::int64_t ElementWriter::written_chunks() const {
  return shards_ * shard_chunks() + (shard_ ? shard_->chunks() : 0);
}

std::int64_t ElementWriter::full_chunks() const {
  return static_cast<std::int64_t>(elements_.size() - begin_) / chunk_bytes();
}

bool ElementWriter::has_rest() const {
  return static_cast<std::int64_t>(elements_.size() - begin_) % chunk_bytes() != 0;
}

RawVector<std::byte> ElementWriter::encode(std::int64_t chunk,
                                           std::span<const std::int64_t> row_ends) const {
  const std::size_t begin = begin_ + static_cast<std::size_t>(chunk * chunk_bytes());
  const std::size_t size =
      std::min(static_cast<std::size_t>(chunk_bytes()), elements_.size() - begin);
  return encoder_.encode(std::span(elements_).subspan(begin, size),
                         (written_chunks() + chunk) * spec_.chunk_shape[0], row_ends);
}

void ElementWriter::write(std::span<const RawVector<std::byte>> chunks) {
  if (chunks.empty()) return;
  if (!shard_) {
    shard_ = std::make_unique<ShardFile>(folder_ / working_name(), shards_, shard_chunks());
  }
  for (const RawVector<std::byte>& chunk : chunks) shard_->append(chunk);
  begin_ =
      std::min(elements_.size(), begin_ + chunks.size() * static_cast<std::size_t>(chunk_bytes()));
}

std::int64_t ElementWriter::room_in_shard() const {
  return shard_chunks() - (shard_ ? shard_->chunks() : 0);
}

void ElementWriter::finish_shard() {
  if (!shard_) return;
  shard_->finish();
  shard_.reset();
  ++shards_;
}

std::int64_t ElementWriter::bytes() const {
  std::int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_ / name_ / "c", ignored)) {
    bytes += static_cast<std::int64_t>(entry.file_size(ignored));
  }
  return bytes;
}

void ElementWriter::verify(std::int64_t shard) const {
  verify_shard(folder_ / working_name(), shard, shard_chunks(), shard_chunks());
}

void ElementWriter::create_document(std::int64_t elements) {
  ArraySpec spec = spec_;
  spec.shape = {elements};
  (void)group_.create_array(working_name(), spec);
}

void ElementWriter::widen(DType dtype, RowLengths::Ends row_ends, Arena& arena) {
  const std::int64_t written = written_chunks();
  if (shard_) shard_->finish();
  shard_.reset();
  create_document(written * spec_.chunk_shape[0]);
  const std::unique_ptr<Array> from = group_.array(working_name());
  narrower_ = working_name();

  const RawVector<std::byte> waiting = std::move(elements_);
  const std::span<const std::byte> narrow = std::span(waiting).subspan(begin_);
  const DType old = std::exchange(spec_.dtype, dtype);
  encoder_ = ChunkEncoder(spec_, kind_);
  elements_.clear();
  begin_ = 0;
  shards_ = 0;
  copy_chunks(*from, std::move(row_ends), arena);
  widen_values(narrow, old, dtype,
               extend(static_cast<std::int64_t>(narrow.size() / dtype_size(old))));
}

void ElementWriter::copy_chunks(const Array& from, RowLengths::Ends row_ends, Arena& arena) {
  const std::int64_t chunks = element_count(from.info()) == 0 ? 0 : chunk_count(from.info());
  const std::int64_t at_once = std::int64_t{4} * arena.threads();
  for (std::int64_t first = 0; first < chunks;) {
    const std::int64_t count = std::min({at_once, chunks - first, room_in_shard()});
    const auto length = static_cast<std::size_t>(spec_.chunk_shape[0]);
    const std::span<const std::int64_t> ends =
        row_ends.of({first * spec_.chunk_shape[0], (first + count) * spec_.chunk_shape[0]});
    std::vector<RawVector<std::byte>> encoded(static_cast<std::size_t>(count));
    arena.for_each(count, [&](std::int64_t i) {
      RawVector<std::byte> narrow(length * dtype_size(from.info().dtype));
      from.decode(from.fetch(first + i), narrow);
      RawVector<std::byte> wide(length * dtype_size(spec_.dtype));
      widen_values(narrow, from.info().dtype, spec_.dtype, wide);
      encoded[static_cast<std::size_t>(i)] =
          encoder_.encode(wide, (first + i) * spec_.chunk_shape[0], ends);
    });
    write(encoded);
    first += count;
    if (room_in_shard() == 0) finish_shard();
  }
}

void ElementWriter::remove_narrower() {
  std::error_code ignored;
  if (!narrower_.empty()) fs::remove_all(folder_ / narrower_, ignored);
  narrower_.clear();
}

void ElementWriter::finish(std::int64_t elements) {
  finish_shard();
  create_document(elements);
  fs::rename(folder_ / working_name(), folder_ / name_);
}

}  // namespace cellmill
