#include "cellmill/storage/shard_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/zarr_codecs.hpp"
#include "storage/zarr_files.hpp"
#include "storage/zarr_metadata.hpp"
#include "storage/zarr_shards.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

/// As ZarrMetadata::key names it for arrays of ours.
fs::path file_of_shard(const fs::path& array, std::int64_t shard) {
  return array / "c" / std::to_string(shard);
}

}  // namespace

struct ChunkEncoder::State {
  ZarrMetadata metadata;
  PackedKind kind = PackedKind::counts;
};

ChunkEncoder::ChunkEncoder(const ArraySpec& spec, PackedKind kind)
    : state_(std::make_unique<State>(State{spec_metadata(spec, StoreFormat::zarr3), kind})) {}
ChunkEncoder::~ChunkEncoder() = default;
ChunkEncoder::ChunkEncoder(ChunkEncoder&&) noexcept = default;
ChunkEncoder& ChunkEncoder::operator=(ChunkEncoder&&) noexcept = default;

RawVector<std::byte> ChunkEncoder::encode(std::span<const std::byte> elements, std::int64_t first,
                                          std::span<const std::int64_t> row_ends) const {
  const ZarrMetadata& metadata = state_->metadata;
  if (elements.size() > metadata.chunk_bytes()) {
    throw input_error(fmt::format("{} bytes are more than a chunk of {}", elements.size(),
                                  metadata.chunk_bytes()));
  }
  if (metadata.packed_rows) {
    return encode_bytes(metadata.codecs, pack_chunk(state_->kind, metadata.element.dtype, elements,
                                                    first, row_ends));
  }
  if (elements.size() == metadata.chunk_bytes()) return encode_bytes(metadata.codecs, elements);
  Bytes whole(elements.begin(), elements.end());
  whole.resize(metadata.chunk_bytes(), std::byte{});
  return encode_bytes(metadata.codecs, whole);
}

ShardFile::ShardFile(const fs::path& array, std::int64_t shard, std::int64_t most_chunks)
    : file_(std::make_unique<OutputFile>(file_of_shard(array, shard))), most_chunks_(most_chunks) {}

ShardFile::~ShardFile() = default;

void ShardFile::append(std::span<const std::byte> chunk) {
  file_->append(chunk);
  const auto size = static_cast<std::int64_t>(chunk.size());
  chunks_.push_back({bytes_, bytes_ + size});
  bytes_ += size;
}

void ShardFile::finish() {
  std::vector<Range> all = chunks_;
  all.resize(static_cast<std::size_t>(most_chunks_));
  const Bytes index = make_shard_index(all);
  file_->append(index);
  file_->close();
  bytes_ += static_cast<std::int64_t>(index.size());
}

void verify_shard(const fs::path& array, std::int64_t shard, std::int64_t most_chunks,
                  std::int64_t chunks) {
  const fs::path path = file_of_shard(array, shard);
  with_context(path.string(), [&] {
    const std::unique_ptr<InputFile> file = InputFile::open(path);
    if (!file) throw input_error("is not there");
    const Bytes empty_index = make_shard_index(std::vector<Range>(most_chunks));
    const auto index_bytes = static_cast<std::int64_t>(empty_index.size());
    if (file->size() < index_bytes) throw input_error("ends early");
    Bytes index(empty_index.size());
    file->read(file->size() - index_bytes, index);
    const std::vector<Range> ranges =
        parse_shard_index(index, most_chunks, ZarrMetadata{}, file->size());
    const auto found = std::count_if(ranges.begin(), ranges.end(),
                                     [](const Range& range) { return !range.empty(); });
    if (found != chunks) {
      throw input_error(fmt::format("has {} chunks, expected {}", grouped(found), grouped(chunks)));
    }
    ByteCodec checksum;
    checksum.kind = ByteCodec::Kind::crc32c;
    for (const Range& range : ranges) {
      if (range.empty()) continue;
      Bytes bytes(static_cast<std::size_t>(range.size()));
      file->read(range.begin, bytes);
      if (bytes.size() < 4) throw input_error("a chunk is too short for its crc32c");
      Bytes decoded(bytes.size() - 4);
      decode_bytes(std::span(&checksum, 1), bytes, decoded);
    }
  });
}

}  // namespace cellmill
