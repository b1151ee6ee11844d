#include "storage/hdf5_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "cellmill/core/text.hpp"

namespace cellmill::hdf5 {

namespace {

/// Contiguous data is read in pieces of about this size.
constexpr std::int64_t piece_bytes = std::int64_t{1} << 20;

std::vector<std::int64_t> to_int64(const std::vector<hsize_t>& sizes) {
  std::vector<std::int64_t> shape;
  for (const hsize_t size : sizes) {
    if (size > static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max())) {
      throw input_error(fmt::format("an axis of {} elements found", size));
    }
    shape.push_back(static_cast<std::int64_t>(size));
  }
  return shape;
}

std::vector<std::int64_t> read_shape(hid_t dataset) {
  const Handle space = checked(H5Dget_space(dataset), H5Sclose, Error::Kind::input, "its shape");
  if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) return {0};
  std::vector<hsize_t> sizes(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space.get())));
  H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  return to_int64(sizes);
}

/// Bytes of the elements of `shape` from axis `first` on. \throws Error(input) above 2^63
std::int64_t bytes_of(std::span<const std::int64_t> shape, std::size_t element_size) {
  __extension__ using Wide = __int128;
  Wide bytes = static_cast<Wide>(element_size);
  for (const std::int64_t size : shape) {
    bytes *= size;
    if (bytes > std::numeric_limits<std::int64_t>::max()) {
      throw input_error("a shape of more than 2^63 bytes found");
    }
  }
  return static_cast<std::int64_t>(bytes);
}

/// Whole rows that make up about one piece.
std::vector<std::int64_t> piece_shape(const std::vector<std::int64_t>& shape,
                                      std::size_t element_size) {
  if (shape.empty()) return {};
  std::vector<std::int64_t> piece = shape;
  for (std::int64_t& size : piece) size = std::max<std::int64_t>(size, 1);
  const std::int64_t row_bytes =
      std::max<std::int64_t>(bytes_of(std::span(piece).subspan(1), element_size), 1);
  piece[0] = std::clamp<std::int64_t>(piece_bytes / row_bytes, 1, piece[0]);
  return piece;
}

std::vector<std::int64_t> read_chunk_shape(hid_t creation, std::size_t axes) {
  std::vector<hsize_t> sizes(axes);
  check(H5Pget_chunk(creation, static_cast<int>(axes), sizes.data()), Error::Kind::input,
        "its chunks");
  if (std::find(sizes.begin(), sizes.end(), 0U) != sizes.end()) {
    throw input_error("chunks of no elements found");
  }
  return to_int64(sizes);
}

std::vector<std::byte> read_fill(hid_t creation, hid_t file_type, const ElementType& element) {
  std::vector<std::byte> fill(element.memory_size());
  H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
  H5Pfill_value_defined(creation, &defined);
  if (defined == H5D_FILL_VALUE_USER_DEFINED) {
    const Handle type = element.strings == StringKind::fixed
                            ? checked(H5Tcopy(file_type), H5Tclose, Error::Kind::io, "an HDF5 type")
                            : memory_type_for(file_type, element.dtype);
    check(H5Pget_fill_value(creation, type.get(), fill.data()), Error::Kind::input,
          "its fill value");
  }
  return fill;
}

bool has_user_block(hid_t file) {
  const Handle creation =
      checked(H5Fget_create_plist(file), H5Pclose, Error::Kind::input, "the file");
  hsize_t bytes = 0;
  return H5Pget_userblock(creation.get(), &bytes) < 0 || bytes > 0;
}

/// Where contiguous data begins; −1 if nothing was written.
std::int64_t contiguous_offset(const File& file, hid_t dataset, const Layout& layout) {
  const haddr_t address = H5Dget_offset(dataset);
  if (address == HADDR_UNDEF) return -1;
  const auto offset = static_cast<std::int64_t>(address);
  const std::int64_t bytes = bytes_of(layout.info.shape, layout.type.file_size);
  const std::int64_t size = file_size(*file.reader());
  if (offset < 0 || bytes > size || offset > size - bytes) {
    throw input_error(fmt::format(
        "its {} bytes at {} lie past the end of the file, which has {}; it is truncated",
        grouped(bytes), grouped(offset), grouped(size)));
  }
  return offset;
}

struct Storage {
  ArrayInfo info;  ///< shape, chunks and codecs
  H5D_layout_t kind;
  Pipeline pipeline;
};

Storage read_storage(hid_t dataset, hid_t creation, std::size_t element_size) {
  Storage storage{{}, H5Pget_layout(creation), {}};
  ArrayInfo& info = storage.info;
  info.shape = read_shape(dataset);
  (void)bytes_of(info.shape, std::max<std::size_t>(element_size, 1));
  if (storage.kind == H5D_CHUNKED) {
    storage.pipeline = read_pipeline(creation);
    info.chunk_shape = read_chunk_shape(creation, info.shape.size());
  } else {
    info.chunk_shape = piece_shape(info.shape, element_size);
  }
  info.codecs = describe(storage.pipeline);
  return storage;
}

}  // namespace

ArrayInfo read_table_info(hid_t dataset) {
  const Handle type =
      checked(H5Dget_type(dataset), H5Tclose, Error::Kind::input, "its description");
  const Handle creation =
      checked(H5Dget_create_plist(dataset), H5Pclose, Error::Kind::input, "its description");
  const std::size_t record = std::max<std::size_t>(H5Tget_size(type.get()), 1);
  ArrayInfo info = read_storage(dataset, creation.get(), record).info;
  if (info.shape.size() == 1) {
    const std::int64_t bytes = bytes_of(info.chunk_shape, record);
    info.chunk_shape[0] *= std::max<std::int64_t>(1, piece_bytes / bytes);
  }
  return info;
}

Layout read_layout(const File& file, hid_t dataset, const std::string& location) {
  return with_context(location, [&] {
    const auto own = [](hid_t id, Handle::Close close) {
      return checked(id, close, Error::Kind::input, "its description");
    };
    const Handle type = own(H5Dget_type(dataset), H5Tclose);
    const Handle creation = own(H5Dget_create_plist(dataset), H5Pclose);

    Layout layout;
    layout.type = classify(type.get());
    Storage storage = read_storage(dataset, creation.get(), layout.type.file_size);
    const H5D_layout_t kind = storage.kind;
    layout.info = std::move(storage.info);
    layout.pipeline = std::move(storage.pipeline);
    layout.info.location = location;
    layout.info.dtype = layout.type.dtype;
    if (layout.type.strings == StringKind::variable) return layout;

    layout.fill = read_fill(creation.get(), type.get(), layout.type);
    if (file.reader() == nullptr || !layout.type.plain) return layout;
    if (kind == H5D_CHUNKED) {
      layout.access = Access::chunks;
    } else if (kind == H5D_CONTIGUOUS && H5Pget_external_count(creation.get()) == 0 &&
               !has_user_block(file.id())) {
      layout.access = Access::contiguous;
      layout.offset = contiguous_offset(file, dataset, layout);
    }
    return layout;
  });
}

}  // namespace cellmill::hdf5
