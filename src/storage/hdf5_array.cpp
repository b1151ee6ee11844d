#include "storage/hdf5_array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"
#include "storage/codecs.hpp"
#include "storage/enough_memory.hpp"
#include "storage/hdf5_fields.hpp"
#include "storage/hdf5_layout.hpp"
#include "storage/hdf5_strings.hpp"
#include "storage/stored_chunks.hpp"
#include "storage/string_rows.hpp"
#include "storage/structured_array.hpp"

namespace cellmill::hdf5 {

namespace {

/// Runs `body`; its errors get the array and the chunk in front.
template <class Body>
auto at_chunk(const ArrayInfo& info, std::int64_t chunk, Body&& body, Extent extent = {}) {
  try {
    return body();
  } catch (const Error& error) {
    const std::string bytes = extent.size == 0
                                  ? ""
                                  : fmt::format(" (bytes {}–{})", grouped(extent.offset),
                                                grouped(extent.offset + extent.size));
    throw Error(error.kind(), fmt::format("{}, chunk {}{}: {}", info.location, grouped(chunk),
                                          bytes, error.what()));
  }
}

class DatasetArray final : public Array {
 public:
  DatasetArray(std::shared_ptr<File> file, Handle dataset, Layout layout)
      : file_(std::move(file)),
        dataset_(std::move(dataset)),
        layout_(std::move(layout)),
        grid_(chunk_grid(layout_.info.shape, layout_.info.chunk_shape)),
        chunk_bytes_(chunk_elements(layout_.info) *
                     static_cast<std::int64_t>(layout_.type.memory_size())) {}

  [[nodiscard]] const ArrayInfo& info() const override { return layout_.info; }

  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override {
    return at_chunk(layout_.info, chunk, [&] {
      expect_numbers();
      if (layout_.access != Access::library) return fetch_stored(chunk);
      EncodedChunk encoded;
      expect_room();
      encoded.begin(chunk);
      read_by_library(chunk, encoded.own(static_cast<std::size_t>(chunk_bytes_)));
      return encoded;
    });
  }

  void fetch_many(Range chunks, FetchedChunks& into) const override {
    if (layout_.access == Access::library) return Array::fetch_many(chunks, into);
    into.chunks.resize(static_cast<std::size_t>(chunks.size()));
    std::vector<StoredChunk> stored;
    stored.reserve(into.chunks.size());
    std::int64_t chunk = chunks.begin;
    for (EncodedChunk& encoded : into.chunks) {
      const Extent extent = at_chunk(layout_.info, chunk, [&] {
        expect_numbers();
        return find(chunk, encoded);
      });
      if (!encoded.missing) stored.push_back({0, extent.offset, extent.size, &encoded});
      ++chunk;
    }
    with_context(layout_.info.location, [&] {
      const int fd = descriptor(*file_->reader());
      read_together(std::move(stored), into.room,
                    [&](std::int64_t, std::int64_t offset, std::span<std::byte> to) {
                      read_fully(fd, {offset, static_cast<std::int64_t>(to.size())}, to.data());
                    });
    });
  }

  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t chunk) const override {
    return at_chunk(layout_.info, chunk, [&] {
      return layout_.access == Access::library ? chunk_bytes_ : place_of(chunk).extent.size;
    });
  }

  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override {
    at_chunk(
        layout_.info, encoded.chunk,
        [&] {
          expect_numbers();
          if (static_cast<std::int64_t>(out.size()) != chunk_bytes_) {
            throw input_error(
                fmt::format("room for {} bytes, it has {}", out.size(), chunk_bytes_));
          }
          decode_stored(encoded, out);
        },
        extent_of(encoded));
  }

  void decode_part(const EncodedChunk& encoded, Range part,
                   std::span<std::byte> out) const override {
    const bool quick = at_chunk(
        layout_.info, encoded.chunk,
        [&] {
          expect_numbers();
          expect_part(part, out.size());
          const std::size_t width = dtype_size(layout_.info.dtype);
          const std::size_t begin = static_cast<std::size_t>(part.begin) * width;
          if (encoded.missing) {
            fill(out);
            return true;
          }
          if (layout_.access != Access::chunks) {
            copy_part(encoded.bytes, begin, out);
          } else if (!undo_part(layout_.pipeline, encoded.filter_mask, encoded.bytes,
                                static_cast<std::size_t>(chunk_bytes_),
                                static_cast<std::size_t>(filled_elements(encoded.chunk)) * width,
                                begin, out)) {
            return false;
          }
          if (layout_.type.swap && layout_.access != Access::library) swap_bytes(out, width);
          return true;
        },
        extent_of(encoded));
    if (!quick) Array::decode_part(encoded, part, out);
  }

  [[nodiscard]] Strings read_strings(Range range) const override {
    with_context(layout_.info.location, [&] { expect_string_rows(layout_.info, range); });
    if (layout_.access != Access::library) return read_fixed_strings(range);
    return with_context(layout_.info.location, [&] {
      expect_filters();
      return hdf5::read_strings(dataset_.get(), range);
    });
  }

 private:
  /// Bytes from `begin` on of a chunk without filters; the last one of an array may be short.
  static void copy_part(std::span<const std::byte> chunk, std::size_t begin,
                        std::span<std::byte> out) {
    const auto stored = chunk.subspan(std::min(begin, chunk.size()));
    const std::size_t bytes = std::min(stored.size(), out.size());
    if (bytes > 0) std::memcpy(out.data(), stored.data(), bytes);
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(bytes), out.end(), std::byte{});
  }

  void expect_numbers() const {
    if (layout_.info.dtype == DType::string) throw input_error("holds strings, expected numbers");
  }

  void expect_room() const {
    expect_memory(chunk_elements(layout_.info), layout_.type.memory_size());
  }

  /// Describes a chunk but for its bytes.
  Extent find(std::int64_t chunk, EncodedChunk& encoded) const {
    expect_room();
    const ChunkPlace place = place_of(chunk);
    encoded.begin(chunk);
    encoded.missing = place.extent.size == 0;
    encoded.filter_mask = place.filter_mask;
    encoded.offset = place.extent.offset;
    return place.extent;
  }

  static Extent extent_of(const EncodedChunk& encoded) {
    if (encoded.offset < 0) return {};
    return {encoded.offset, static_cast<std::int64_t>(encoded.bytes.size())};
  }

  /// A chunk, where it is ours to read.
  [[nodiscard]] EncodedChunk fetch_stored(std::int64_t chunk) const {
    EncodedChunk encoded;
    const Extent extent = find(chunk, encoded);
    read_fully(descriptor(*file_->reader()), extent,
               encoded.own(static_cast<std::size_t>(extent.size)).data());
    return encoded;
  }

  void decode_stored(const EncodedChunk& encoded, std::span<std::byte> out) const {
    if (encoded.missing) return fill(out);
    if (layout_.access == Access::chunks) {
      undo(layout_.pipeline, encoded.filter_mask, encoded.bytes, out);
    } else {
      copy_part(encoded.bytes, 0, out);
    }
    if (layout_.type.swap && layout_.access != Access::library) {
      swap_bytes(out, dtype_size(layout_.info.dtype));
    }
  }

  [[nodiscard]] Strings read_fixed_strings(Range rows) const {
    const std::size_t width = layout_.type.file_size;
    const auto append = [&](std::span<const std::byte> elements, Strings& to) {
      append_fixed(elements, width, layout_.type.padding, to);
    };
    Strings fill;
    append(layout_.fill, fill);
    thread_local RawVector<std::byte> decoded;
    return gather_strings(
        layout_.info, rows, fill[0], [&](std::int64_t chunk, Range part, Strings& to) {
          const EncodedChunk encoded =
              at_chunk(layout_.info, chunk, [&] { return fetch_stored(chunk); });
          if (encoded.missing) return false;
          at_chunk(
              layout_.info, chunk,
              [&] {
                decoded.resize(static_cast<std::size_t>(chunk_bytes_));
                decode_stored(encoded, decoded);
                append(std::span(decoded).subspan(static_cast<std::size_t>(part.begin) * width,
                                                  static_cast<std::size_t>(part.size()) * width),
                       to);
              },
              extent_of(encoded));
          return true;
        });
  }

  /// Coordinates of a chunk's first element.
  [[nodiscard]] std::vector<hsize_t> corner_of(std::int64_t chunk) const {
    if (chunk < 0 || chunk >= chunk_count(layout_.info)) {
      throw input_error(fmt::format("there are {}", grouped(chunk_count(layout_.info))));
    }
    const std::vector<std::int64_t> at = grid_coordinates(chunk, grid_);
    std::vector<hsize_t> corner;
    for (std::size_t axis = 0; axis < at.size(); ++axis) {
      corner.push_back(static_cast<hsize_t>(at[axis] * layout_.info.chunk_shape[axis]));
    }
    return corner;
  }

  /// Where a chunk lies. Asked for its size and then for its bytes, so the last answers are kept.
  [[nodiscard]] ChunkPlace place_of(std::int64_t chunk) const {
    const std::vector<hsize_t> corner = corner_of(chunk);
    if (layout_.access == Access::contiguous) return {contiguous_piece(chunk), 0};
    const Lock lock;
    if (const auto known = places_.find(chunk); known != places_.end()) return known->second;
    constexpr std::size_t most_places = 16'384;
    if (places_.size() >= most_places) places_.clear();
    return places_[chunk] = find_place(corner);
  }

  /// Under the Lock.
  [[nodiscard]] ChunkPlace find_place(const std::vector<hsize_t>& corner) const {
    const std::int64_t in_file = file_size(*file_->reader());
    const std::optional<ChunkPlace> place = locate(*file_->reader(), dataset_.get(), corner.data());
    if (!place) {
      const std::string message = last_message();
      hsize_t size = 0;
      check(H5Dget_chunk_storage_size(dataset_.get(), corner.data(), &size), Error::Kind::input,
            "the chunk table is corrupt");
      if (size == 0) return {};  // never written
      throw input_error("the chunk table is corrupt: " + message);
    }
    const Extent extent = place->extent;
    if (extent.size > in_file) {
      throw input_error(
          fmt::format("the chunk table is corrupt: a chunk of {} bytes in a file of {}",
                      grouped(extent.size), grouped(in_file)));
    }
    if (extent.offset < 0 || extent.offset > in_file - extent.size) {
      throw input_error(fmt::format("bytes {}–{} lie past the end of the file, which has {}",
                                    grouped(extent.offset), grouped(extent.offset + extent.size),
                                    grouped(in_file)));
    }
    return *place;
  }

  /// Our own chunks are whole rows, so they follow each other in the file.
  [[nodiscard]] Extent contiguous_piece(std::int64_t chunk) const {
    if (layout_.offset < 0) return {};
    const std::int64_t bytes =
        element_count(layout_.info) * static_cast<std::int64_t>(layout_.type.file_size);
    const std::int64_t begin = chunk * chunk_bytes_;
    return {layout_.offset + begin, std::min(chunk_bytes_, bytes - begin)};
  }

  void read_by_library(std::int64_t chunk, std::span<std::byte> to) const {
    const std::vector<hsize_t> corner = corner_of(chunk);
    const ArrayInfo& info = layout_.info;
    std::vector<hsize_t> room(info.chunk_shape.begin(), info.chunk_shape.end());
    std::vector<hsize_t> extent;
    for (std::size_t axis = 0; axis < corner.size(); ++axis) {
      extent.push_back(std::min(room[axis], static_cast<hsize_t>(info.shape[axis]) - corner[axis]));
    }
    if (extent != room) fill(to);
    const Lock lock;
    expect_filters();
    const auto own = [](hid_t id, Handle::Close close) {
      return checked(id, close, Error::Kind::input, "can't be read");
    };
    const Handle file_type = own(H5Dget_type(dataset_.get()), H5Tclose);
    const Handle type = memory_type_for(file_type.get(), info.dtype);
    if (corner.empty()) {
      check(H5Dread(dataset_.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, to.data()),
            Error::Kind::input, "can't be read");
      return;
    }
    const Handle in_file = own(H5Dget_space(dataset_.get()), H5Sclose);
    const Handle in_memory =
        own(H5Screate_simple(static_cast<int>(room.size()), room.data(), nullptr), H5Sclose);
    const std::vector<hsize_t> origin(corner.size(), 0);
    H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, corner.data(), nullptr, extent.data(),
                        nullptr);
    H5Sselect_hyperslab(in_memory.get(), H5S_SELECT_SET, origin.data(), nullptr, extent.data(),
                        nullptr);
    check(
        H5Dread(dataset_.get(), type.get(), in_memory.get(), in_file.get(), H5P_DEFAULT, to.data()),
        Error::Kind::input, "can't be read");
  }

  /// libhdf5 says of a filter that it lacks only where it looked for it.
  void expect_filters() const {
    const Lock lock;
    for (const Filter& filter : layout_.pipeline) {
      if (H5Zfilter_avail(filter.id) <= 0) throw unsupported(filter);
    }
  }

  void fill(std::span<std::byte> out) const {
    for (std::size_t at = 0; at < out.size(); at += layout_.fill.size()) {
      std::copy(layout_.fill.begin(), layout_.fill.end(),
                out.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  std::shared_ptr<File> file_;
  Handle dataset_;
  Layout layout_;
  std::vector<std::int64_t> grid_;
  std::int64_t chunk_bytes_;                                     ///< of one whole chunk, decoded
  mutable std::unordered_map<std::int64_t, ChunkPlace> places_;  ///< under the Lock
};

}  // namespace

std::unique_ptr<Array> open_array(std::shared_ptr<File> file, const std::string& path) {
  const std::string location = file->location_of(path);
  const Lock lock;
  Handle dataset = checked(H5Dopen2(file->id(), path.c_str(), H5P_DEFAULT), H5Dclose,
                           Error::Kind::input, location);
  if (is_structured(dataset.get())) {
    return std::make_unique<StructuredArray>(structured_info(dataset.get(), location));
  }
  Layout layout = read_layout(*file, dataset.get(), location);
  return std::make_unique<DatasetArray>(std::move(file), std::move(dataset), std::move(layout));
}

}  // namespace cellmill::hdf5
