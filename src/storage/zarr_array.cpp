#include "storage/zarr_array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"
#include "storage/enough_memory.hpp"
#include "storage/string_rows.hpp"
#include "storage/zarr_text.hpp"

namespace cellmill {

namespace {

/// Bytes for what lies between codec and result, kept by the thread; one buffer a step.
template <int Step>
std::span<std::byte> scratch(std::size_t bytes) {
  thread_local Bytes buffer;
  if (buffer.size() < bytes) buffer.resize(bytes);
  return std::span(buffer).first(bytes);
}

}  // namespace

template <class Body>
decltype(auto) ZarrArray::in_chunk(std::int64_t chunk, Body&& body) const {
  try {
    if (chunk < 0 || chunk >= chunk_count(info_)) {
      throw input_error(fmt::format("there are {}", grouped(chunk_count(info_))));
    }
    try {
      return std::forward<Body>(body)();
    } catch (const std::bad_alloc&) {
      throw input_error(fmt::format("no memory for its {} elements", metadata_.chunk_elements()));
    }
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}, chunk {}: {}", info_.location,
                                          metadata_.chunk_place(chunk), error.what()));
  }
}

ZarrArray::ZarrArray(std::shared_ptr<const ByteStore> store, std::string path, std::string location,
                     ZarrMetadata metadata)
    : store_(std::move(store)),
      path_(std::move(path)),
      metadata_(std::move(metadata)),
      info_(metadata_.info(std::move(location))),
      grid_(chunk_grid(info_.shape, info_.chunk_shape)) {
  if (metadata_.sharded()) shards_ = std::make_unique<ShardReader>(store_, path_, metadata_);
  if (metadata_.packed_rows) packed_ = std::make_unique<ZarrPackedRows>(info_, metadata_);
}

std::string ZarrArray::chunk_key(std::int64_t chunk) const {
  return join_key(path_, metadata_.key(grid_coordinates(chunk, grid_)));
}

EncodedChunk ZarrArray::fetch(std::int64_t chunk) const {
  return in_chunk(chunk, [&] {
    expect_room();
    EncodedChunk encoded;
    if (shards_) {
      const StoredChunk stored = find(chunk, encoded);
      const std::span<std::byte> to = encoded.own(static_cast<std::size_t>(stored.size));
      if (!encoded.missing) shards_->read(stored.file, stored.offset, to);
    } else {
      fetch_file(chunk, encoded);
    }
    return encoded;
  });
}

void ZarrArray::expect_room() const {
  // Packed rows are decoded one by one, and how long strings are, only they say.
  if (packed_ || metadata_.element.text == TextForm::vlen_utf8) return;
  const std::size_t stored =
      metadata_.field ? record_size(metadata_.fields) : metadata_.element.size;
  expect_memory(static_cast<std::int64_t>(metadata_.stored_chunk_bytes() / stored), stored);
}

StoredChunk ZarrArray::find(std::int64_t chunk, EncodedChunk& encoded) const {
  StoredChunk stored = shards_->find(grid_coordinates(chunk, grid_));
  stored.chunk = &encoded;
  encoded.begin(chunk);
  encoded.missing = stored.size == 0;
  return stored;
}

void ZarrArray::fetch_file(std::int64_t chunk, EncodedChunk& encoded) const {
  encoded.begin(chunk);
  encoded.missing =
      !store_->read_into(chunk_key(chunk), metadata_.most_encoded_bytes(), encoded.owned);
  if (!encoded.missing) encoded.bytes = encoded.owned;
}

void ZarrArray::fetch_many(Range chunks, FetchedChunks& into) const {
  into.chunks.resize(static_cast<std::size_t>(chunks.size()));
  std::vector<StoredChunk> stored;
  std::int64_t chunk = chunks.begin;
  for (EncodedChunk& encoded : into.chunks) {
    in_chunk(chunk, [&] {
      expect_room();
      if (!shards_) return fetch_file(chunk, encoded);
      const StoredChunk found = find(chunk, encoded);
      if (!encoded.missing) stored.push_back(found);
    });
    ++chunk;
  }
  if (stored.empty()) return;
  with_context(info_.location, [&] {
    read_together(std::move(stored), into.room,
                  [&](std::int64_t shard, std::int64_t offset, std::span<std::byte> to) {
                    shards_->read(shard, offset, to);
                  });
  });
}

std::int64_t ZarrArray::encoded_bytes(std::int64_t chunk) const {
  return in_chunk(chunk, [&] {
    return shards_ ? shards_->find(grid_coordinates(chunk, grid_)).size
                   : store_->size(chunk_key(chunk));
  });
}

void ZarrArray::fill(std::span<std::byte> out) const {
  const auto& element = metadata_.fill;
  if (std::all_of(element.begin(), element.end(), [](std::byte b) { return b == std::byte{}; })) {
    std::fill(out.begin(), out.end(), std::byte{});
    return;
  }
  for (std::size_t at = 0; at < out.size(); at += element.size()) {
    std::copy(element.begin(), element.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

void ZarrArray::decode_elements(std::span<const std::byte> encoded,
                                std::span<std::byte> out) const {
  const ZarrElement& element = metadata_.element;
  const auto native = [&](std::span<std::byte> stored) {
    if (element.text == TextForm::none) return to_native(element, stored, out);
    swap_if_big_endian(element, stored);
    if (stored.data() != out.data()) std::copy(stored.begin(), stored.end(), out.begin());
  };
  if (stored_in_order()) {
    decode_bytes(metadata_.codecs, encoded, out);
    return native(out);
  }
  const std::span<std::byte> stored = scratch<0>(metadata_.stored_chunk_bytes());
  decode_bytes(metadata_.codecs, encoded, stored);
  if (metadata_.order.empty() && !metadata_.field) return native(stored);
  const std::span<std::byte> arranged =
      element.half ? scratch<1>(metadata_.chunk_elements() * element.size) : out;
  if (metadata_.field) {
    take_field(stored, arranged);
  } else {
    transpose(stored, arranged);
  }
  native(arranged);
}

void ZarrArray::take_field(std::span<const std::byte> records, std::span<std::byte> out) const {
  const std::size_t step = record_size(metadata_.fields);
  const std::size_t count = records.size() / step;
  const std::size_t bytes = out.size() / count;
  const std::byte* from = records.data() + metadata_.field->offset;
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(out.data() + i * bytes, from + i * step, bytes);
  }
}

std::vector<std::int64_t> ZarrArray::stored_strides() const {
  // Axis i of what is stored is axis order[i] of the array.
  std::vector<std::int64_t> stored_shape;
  for (const std::size_t axis : metadata_.order) {
    stored_shape.push_back(metadata_.chunk_shape[axis]);
  }
  const std::vector<std::int64_t> in_order = c_strides(stored_shape);
  std::vector<std::int64_t> strides(stored_shape.size());
  for (std::size_t i = 0; i < strides.size(); ++i) strides[metadata_.order[i]] = in_order[i];
  return strides;
}

void ZarrArray::transpose(std::span<const std::byte> stored, std::span<std::byte> out) const {
  copy_box(metadata_.chunk_shape, stored.data(), stored_strides(), out.data(),
           c_strides(metadata_.chunk_shape), metadata_.element.size);
}

void ZarrArray::decode(const EncodedChunk& encoded, std::span<std::byte> out) const {
  in_chunk(encoded.chunk, [&] {
    if (metadata_.element.text != TextForm::none)
      throw input_error("holds strings, expected numbers");
    if (out.size() != metadata_.chunk_bytes()) {
      throw input_error(
          fmt::format("{} bytes of room for its {}", out.size(), metadata_.chunk_bytes()));
    }
    if (encoded.missing) {
      fill(out);
    } else if (packed_) {
      packed_->unpack(encoded, {0, info_.chunk_shape[0]}, out);
    } else {
      decode_elements(encoded.bytes, out);
    }
  });
}

void ZarrArray::decode_part(const EncodedChunk& encoded, Range part,
                            std::span<std::byte> out) const {
  if (packed_) {
    if (encoded.missing) return Array::decode_part(encoded, part, out);
    return in_chunk(encoded.chunk, [&] {
      expect_part(part, out.size());
      packed_->unpack(encoded, part, out);
    });
  }
  const bool quick = in_chunk(encoded.chunk, [&] {
    if (metadata_.element.text != TextForm::none || !stored_in_order()) return false;
    expect_part(part, out.size());
    if (encoded.missing) {
      fill(out);
      return true;
    }
    const std::size_t begin = static_cast<std::size_t>(part.begin) * metadata_.element.size;
    const std::size_t filled =
        static_cast<std::size_t>(filled_elements(encoded.chunk)) * metadata_.element.size;
    if (!decode_bytes_part(metadata_.codecs, encoded.bytes, metadata_.chunk_bytes(), filled, begin,
                           out)) {
      return false;
    }
    to_native(metadata_.element, out, out);
    return true;
  });
  if (!quick) Array::decode_part(encoded, part, out);
}

void ZarrArray::decode_strings(const EncodedChunk& encoded, Range part, Strings& to) const {
  if (metadata_.element.text == TextForm::vlen_utf8) {
    const std::size_t most = std::min(metadata_.most_text_bytes(encoded.bytes.size()),
                                      static_cast<std::size_t>(most_claimed()));
    const Bytes decoded = decode_bytes_unsized(metadata_.codecs, encoded.bytes, most);
    if (metadata_.order.empty()) return decode_vlen_utf8(decoded, part.begin, part.size(), to);
    Strings stored;
    decode_vlen_utf8(decoded, 0, chunk_elements(info_), stored);
    const std::vector<std::int64_t> strides = stored_strides();
    for (std::int64_t i = part.begin; i < part.end; ++i) {
      const std::vector<std::int64_t> at = grid_coordinates(i, info_.chunk_shape);
      to.push_back(
          stored[std::inner_product(at.begin(), at.end(), strides.begin(), std::int64_t{0})]);
    }
    return;
  }
  Bytes decoded(metadata_.chunk_bytes());
  decode_elements(encoded.bytes, decoded);
  const std::size_t size = metadata_.element.size;
  for (std::int64_t i = part.begin; i < part.end; ++i) {
    const auto element =
        std::span<const std::byte>(decoded).subspan(static_cast<std::size_t>(i) * size, size);
    to.push_back(metadata_.element.text == TextForm::ucs4 ? utf8_of_ucs4(element)
                                                          : text_of_bytes(element));
  }
}

Strings ZarrArray::read_strings(Range range) const {
  with_context(info_.location, [&] { expect_string_rows(info_, range); });
  return gather_strings(info_, range, metadata_.fill_text,
                        [&](std::int64_t chunk, Range part, Strings& to) {
                          const EncodedChunk encoded = fetch(chunk);
                          if (encoded.missing) return false;
                          in_chunk(chunk, [&] { decode_strings(encoded, part, to); });
                          return true;
                        });
}

}  // namespace cellmill
