#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"

#ifdef CELLMILL_HAVE_Z5

#define WITH_BLOSC
#define WITH_ZLIB
#define WITH_LIBDEFLATE
#define WITH_ZSTD

#include <fmt/format.h>

#include <exception>
#include <z5/factory.hxx>

#include "storage/array_box.hpp"
#include "storage/json_file.hpp"
#include "storage/zarr_group.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

/// Runs `body`; what z5 throws becomes an Error with the array's name in front.
template <class Body>
decltype(auto) through_z5(const std::string& location, Error::Kind kind, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& error) {
    throw Error(error.kind(), location + ": " + error.what());
  } catch (const std::exception& error) {
    throw Error(kind, location + ": " + error.what());
  }
}

z5::types::ShapeType z5_shape(std::span<const std::int64_t> shape) {
  return {shape.begin(), shape.end()};
}

/// z5 reads some layouts wrongly and others only by luck, so it gets none but those it handles.
void expect_capable(const ZarrMetadata& metadata) {
  const auto refuse = [](const char* what) {
    throw input_error(std::string("z5 can't read ") + what);
  };
  if (metadata.element.text != TextForm::none) refuse("strings");
  if (metadata.element.dtype == DType::boolean) refuse("bool");
  if (metadata.shape.empty()) refuse("0-d arrays");
  if (metadata.sharded()) refuse("one inner chunk of a shard");
  if (metadata.element.big_endian) refuse("big-endian elements");
  if (metadata.element.half) refuse("16-bit floats");
  if (!metadata.fields.empty()) refuse("tables");
  if (!metadata.order.empty()) refuse("transposed chunks");
  if (metadata.codecs.size() > 1) refuse("chains of codecs");
  for (const ByteCodec& codec : metadata.codecs) {
    if (codec.kind == ByteCodec::Kind::lz4) refuse("lz4 outside blosc");
    if (codec.kind == ByteCodec::Kind::crc32c) refuse("crc32c");
    if (codec.kind == ByteCodec::Kind::shuffle) refuse("the filter shuffle");
  }
}

std::string location_of(const fs::path& store, const std::string& name) {
  return store.filename().string() + ": " + name;
}

class Z5Array : public Array {
 public:
  Z5Array(ZarrMetadata metadata, std::string location, std::unique_ptr<z5::Dataset> dataset)
      : metadata_(std::move(metadata)),
        info_(metadata_.info(std::move(location))),
        grid_(chunk_grid(info_.shape, info_.chunk_shape)),
        dataset_(std::move(dataset)) {}

  [[nodiscard]] const ArrayInfo& info() const override { return info_; }

  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override {
    const z5::types::ShapeType at = coordinates(chunk);
    return through_z5(place(chunk), Error::Kind::io, [&] {
      EncodedChunk encoded;
      encoded.chunk = chunk;
      encoded.missing = !dataset_->chunkExists(at);
      if (!encoded.missing) {
        std::vector<char> bytes;
        dataset_->readRawChunk(at, bytes);
        const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
        encoded.own({first, first + bytes.size()});
      }
      return encoded;
    });
  }

  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t chunk) const override {
    const z5::types::ShapeType at = coordinates(chunk);
    return through_z5(place(chunk), Error::Kind::io, [&]() -> std::int64_t {
      if (!dataset_->chunkExists(at)) return 0;
      fs::path path;
      dataset_->chunkPath(at, path);
      return static_cast<std::int64_t>(fs::file_size(path));
    });
  }

  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override {
    through_z5(place(encoded.chunk), Error::Kind::input, [&] {
      if (out.size() != metadata_.chunk_bytes()) throw input_error("wrong room for its elements");
      if (encoded.missing) return fill(out);
      check_length(encoded.bytes);
      dataset_->decompress(reinterpret_cast<const char*>(encoded.bytes.data()),
                           encoded.bytes.size(), out.data(),
                           static_cast<std::size_t>(chunk_elements(info_)));
    });
  }

  [[nodiscard]] Strings read_strings(Range /*range*/) const override {
    throw input_error(info_.location + ": holds numbers, expected strings");
  }

 private:
  [[nodiscard]] std::string place(std::int64_t chunk) const {
    return fmt::format("{}, chunk {}", info_.location, chunk);
  }

  [[nodiscard]] z5::types::ShapeType coordinates(std::int64_t chunk) const {
    if (chunk < 0 || chunk >= chunk_count(info_)) {
      throw input_error(fmt::format("{}: there are {}", place(chunk), chunk_count(info_)));
    }
    return z5_shape(grid_coordinates(chunk, grid_));
  }

  void fill(std::span<std::byte> out) const {
    std::vector<std::byte> element(metadata_.element.size);
    dataset_->getFillValue(element.data());
    for (std::size_t at = 0; at < out.size(); at += element.size()) {
      std::copy(element.begin(), element.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  /// z5 takes raw chunks that are too short for whole, and blosc reads as far as its header says.
  void check_length(std::span<const std::byte> encoded) const {
    const bool raw = metadata_.codecs.empty();
    if (!raw && metadata_.codecs[0].kind != ByteCodec::Kind::blosc) return;
    const std::size_t found = raw ? encoded.size() : blosc_decoded_size(encoded);
    if (found != metadata_.chunk_bytes()) {
      throw input_error(
          fmt::format("decodes to {} bytes, expected {}", found, metadata_.chunk_bytes()));
    }
  }

  ZarrMetadata metadata_;
  ArrayInfo info_;
  std::vector<std::int64_t> grid_;
  std::unique_ptr<z5::Dataset> dataset_;
};

class Z5Writer : public ArrayWriter {
 public:
  Z5Writer(ZarrMetadata metadata, std::string location, std::unique_ptr<z5::Dataset> dataset)
      : metadata_(std::move(metadata)),
        location_(std::move(location)),
        dataset_(std::move(dataset)) {}

  [[nodiscard]] std::int64_t unit_rows() const override { return metadata_.chunk_shape[0]; }

  void write_rows(std::int64_t first_row, std::span<const std::byte> rows) override {
    const std::int64_t total = metadata_.shape[0];
    const auto row_bytes =
        static_cast<std::size_t>(c_strides(metadata_.shape)[0]) * metadata_.element.size;
    if (rows.empty()) return;
    const auto count = static_cast<std::int64_t>(rows.size() / std::max<std::size_t>(row_bytes, 1));
    const bool aligned =
        first_row % unit_rows() == 0 && (count % unit_rows() == 0 || first_row + count == total);
    if (row_bytes == 0 || rows.size() % row_bytes != 0 || first_row < 0 ||
        count > total - first_row || !aligned) {
      throw input_error(fmt::format("{}: {} bytes from row {} are no units of {} rows", location_,
                                    rows.size(), first_row, unit_rows()));
    }
    std::vector<std::int64_t> grid = chunk_grid(metadata_.shape, metadata_.chunk_shape);
    grid[0] = (count + unit_rows() - 1) / unit_rows();
    std::int64_t chunks = 1;
    for (const std::int64_t length : grid) chunks *= length;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      std::vector<std::int64_t> at = grid_coordinates(chunk, grid);
      at[0] += first_row / unit_rows();
      std::vector<std::int64_t> origin(at.size());
      for (std::size_t axis = 0; axis < at.size(); ++axis) {
        origin[axis] = at[axis] * metadata_.chunk_shape[axis];
      }
      const Bytes elements = gather_chunk(metadata_.shape, metadata_.chunk_shape, origin, first_row,
                                          rows, metadata_.element.size);
      through_z5(location_, Error::Kind::io,
                 [&] { dataset_->writeChunk(z5_shape(at), elements.data()); });
    }
  }

  void write_strings(std::int64_t /*first_row*/, const Strings& /*rows*/) override {
    throw input_error(location_ + ": z5 can't write strings");
  }

 private:
  ZarrMetadata metadata_;
  std::string location_;
  std::unique_ptr<z5::Dataset> dataset_;
};

struct Z5Codec {
  std::string name;
  z5::types::CompressionOptions options;
};

Z5Codec z5_codec(const ZarrMetadata& metadata) {
  if (metadata.codecs.empty()) return {"raw", {}};
  const ByteCodec& codec = metadata.codecs[0];
  switch (codec.kind) {
    case ByteCodec::Kind::gzip:
      return {"gzip", {{"level", codec.level}, {"useZlib", false}}};
    case ByteCodec::Kind::zstd:
      return {"zstd", {{"level", codec.level}}};
    case ByteCodec::Kind::blosc:
      return {"blosc",
              {{"codec", codec.inner},
               {"level", codec.level},
               {"shuffle", static_cast<int>(codec.blosc_shuffle)},
               {"blocksize", 0}}};
    default:
      throw input_error("z5 can't write this codec");
  }
}

}  // namespace

bool have_z5() { return true; }

std::unique_ptr<Array> open_z5_array(const fs::path& store, const std::string& name) {
  const std::string location = location_of(store, name);
  const std::optional<StoreFormat> format = zarr_format(LocalStore(store));
  if (!format) throw input_error(store.string() + ": is not a Zarr group");
  const bool v2 = *format == StoreFormat::zarr2;
  const auto document = read_json_file(store / name / (v2 ? ".zarray" : "zarr.json"));
  if (!document) throw missing_error(location + ": there is no such array");
  return through_z5(location, Error::Kind::input, [&] {
    ZarrMetadata metadata = v2 ? parse_zarr2(*document) : parse_zarr3(*document);
    expect_capable(metadata);
    const z5::filesystem::handle::File root(store, z5::FileMode(z5::FileMode::r));
    auto dataset = z5::openDataset(root, name);
    if (!dataset) throw input_error("z5 can't read this dtype");
    return std::make_unique<Z5Array>(std::move(metadata), location, std::move(dataset));
  });
}

std::unique_ptr<ArrayWriter> create_z5_array(const fs::path& store, const std::string& name,
                                             const ArraySpec& spec, StoreFormat format) {
  const std::string location = location_of(store, name);
  return through_z5(location, Error::Kind::io, [&] {
    ZarrMetadata metadata = spec_metadata(spec, format);
    expect_capable(metadata);
    if (!zarr_format(LocalStore(store))) write_zarr_group(store, format);
    for (std::size_t slash = name.find('/'); slash != name.npos;
         slash = name.find('/', slash + 1)) {
      const fs::path above = store / name.substr(0, slash);
      if (zarr_node_kind(LocalStore(above), "", format) == NodeKind::none)
        write_zarr_group(above, format);
    }
    const bool v2 = format == StoreFormat::zarr2;
    const Z5Codec codec = z5_codec(metadata);
    const z5::filesystem::handle::File root(store, z5::FileMode(z5::FileMode::a));
    auto dataset =
        z5::createDataset(root, name, dtype_name(metadata.element.dtype), z5_shape(metadata.shape),
                          z5_shape(metadata.chunk_shape), codec.name, codec.options, 0.0,
                          std::string(1, metadata.separator), v2 ? 2 : 3);
    return std::make_unique<Z5Writer>(std::move(metadata), location, std::move(dataset));
  });
}

}  // namespace cellmill

#else

namespace cellmill {

namespace {

[[noreturn]] void no_z5() {
  throw input_error("this build has no z5: run scripts/fetch-z5 and configure again");
}

}  // namespace

bool have_z5() { return false; }

std::unique_ptr<Array> open_z5_array(const std::filesystem::path& /*store*/,
                                     const std::string& /*name*/) {
  no_z5();
}

std::unique_ptr<ArrayWriter> create_z5_array(const std::filesystem::path& /*store*/,
                                             const std::string& /*name*/, const ArraySpec& /*spec*/,
                                             StoreFormat /*format*/) {
  no_z5();
}

}  // namespace cellmill

#endif
