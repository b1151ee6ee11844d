#include "storage/hdf5_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"
#include "storage/codecs.hpp"
#include "storage/hdf5_layout.hpp"
#include "storage/hdf5_strings.hpp"
#include "storage/string_rows.hpp"

namespace cellmill::hdf5 {

namespace {

constexpr int default_level = 4;

Handle own(hid_t id, Handle::Close close) {
  return checked(id, close, Error::Kind::io, "can't be written");
}

std::vector<hsize_t> sizes_of(std::span<const std::int64_t> shape) {
  return {shape.begin(), shape.end()};
}

/// What all writers have, and the checks on rows.
class DatasetWriter : public ArrayWriter {
 public:
  DatasetWriter(std::shared_ptr<File> file, Handle dataset, Layout layout)
      : file_(std::move(file)),
        dataset_(std::move(dataset)),
        layout_(std::move(layout)),
        rows_(layout_.info.shape.empty() ? 1 : layout_.info.shape[0]) {
    const std::int64_t elements = element_count(layout_.info);
    row_bytes_ = rows_ == 0
                     ? 0
                     : elements / rows_ * static_cast<std::int64_t>(dtype_size(layout_.info.dtype));
  }

  [[nodiscard]] std::int64_t unit_rows() const override { return 1; }

  void write_rows(std::int64_t first_row, std::span<const std::byte> rows) override {
    with_context(layout_.info.location, [&] {
      if (layout_.info.dtype == DType::string) throw input_error("holds strings, numbers given");
      const auto bytes = static_cast<std::int64_t>(rows.size());
      if (bytes == 0) return;
      if (row_bytes_ == 0 || bytes % row_bytes_ != 0) {
        throw input_error(fmt::format("{} bytes given, its rows have {}", bytes, row_bytes_));
      }
      const Range range{first_row, first_row + bytes / row_bytes_};
      check_rows(range);
      write_checked(range, rows);
    });
    file_->check_written();
  }

  void write_strings(std::int64_t first_row, const Strings& rows) override {
    with_context(layout_.info.location, [&] {
      if (layout_.type.strings != StringKind::variable) {
        throw input_error("holds no strings of variable length, strings given");
      }
      check_rows({first_row, first_row + rows_of_strings(layout_.info.shape, rows.size())});
      try {
        hdf5::write_strings(dataset_.get(), first_row, rows);
      } catch (const Error&) {
        // libhdf5 did not hear of a failed write, and stumbles where it reads that back.
        file_->check_written();
        throw;
      }
    });
    file_->check_written();
  }

 protected:
  virtual void write_checked(Range range, std::span<const std::byte> rows) = 0;

  void check_rows(Range range) const {
    const std::int64_t unit = unit_rows();
    if (range.begin < 0 || range.end > rows_) {
      throw input_error(fmt::format("rows {}–{} given, it has {}", grouped(range.begin),
                                    grouped(range.end), grouped(rows_)));
    }
    if (range.begin % unit != 0 || (range.end % unit != 0 && range.end != rows_)) {
      throw input_error(fmt::format("rows {}–{} given, expected multiples of {}",
                                    grouped(range.begin), grouped(range.end), grouped(unit)));
    }
  }

  [[nodiscard]] hid_t dataset() const { return dataset_.get(); }
  [[nodiscard]] const Layout& layout() const { return layout_; }

 private:
  std::shared_ptr<File> file_;
  Handle dataset_;
  Layout layout_;
  std::int64_t rows_;
  std::int64_t row_bytes_;
};

/// Rows anywhere; strings too.
class PlacedWriter final : public DatasetWriter {
 public:
  using DatasetWriter::DatasetWriter;

 private:
  void write_checked(Range range, std::span<const std::byte> rows) override {
    const Lock lock;
    const Handle file_type = own(H5Dget_type(dataset()), H5Tclose);
    const Handle type = memory_type_for(file_type.get(), layout().info.dtype);
    const Handle in_file = own(H5Dget_space(dataset()), H5Sclose);
    std::vector<hsize_t> extent = sizes_of(layout().info.shape);
    Handle in_memory;
    if (extent.empty()) {
      in_memory = own(H5Screate(H5S_SCALAR), H5Sclose);
    } else {
      std::vector<hsize_t> start(extent.size(), 0);
      start[0] = static_cast<hsize_t>(range.begin);
      extent[0] = static_cast<hsize_t>(range.size());
      check(H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(),
                                nullptr),
            Error::Kind::io, "can't be written");
      in_memory =
          own(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose);
    }
    check(H5Dwrite(dataset(), type.get(), in_memory.get(), in_file.get(), H5P_DEFAULT, rows.data()),
          Error::Kind::io,
          fmt::format("can't write {}", human_bytes(static_cast<std::int64_t>(rows.size()))));
  }
};

/// Whole chunks of gzip, compressed outside the lock.
class GzipWriter final : public DatasetWriter {
 public:
  GzipWriter(std::shared_ptr<File> file, Handle dataset, Layout layout)
      : DatasetWriter(std::move(file), std::move(dataset), std::move(layout)) {}

  [[nodiscard]] std::int64_t unit_rows() const override { return layout().info.chunk_shape[0]; }

 private:
  void write_checked(Range range, std::span<const std::byte> rows) override {
    const ArrayInfo& info = layout().info;
    const std::vector<std::int64_t> grid = chunk_grid(info.shape, info.chunk_shape);
    std::int64_t chunks_a_row = 1;
    for (std::size_t axis = 1; axis < grid.size(); ++axis) chunks_a_row *= grid[axis];
    const std::int64_t first = range.begin / unit_rows() * chunks_a_row;
    const std::int64_t last = (range.end + unit_rows() - 1) / unit_rows() * chunks_a_row;
    Bytes plain(static_cast<std::size_t>(chunk_elements(info)) * dtype_size(info.dtype));
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      const std::vector<std::int64_t> at = grid_coordinates(chunk, grid);
      std::vector<hsize_t> corner;
      for (std::size_t axis = 0; axis < at.size(); ++axis) {
        corner.push_back(static_cast<hsize_t>(at[axis] * info.chunk_shape[axis]));
      }
      cut_out(range, rows, corner, plain);
      write_chunk(corner, plain);
    }
  }

  /// A chunk's elements from the rows, what hangs over the edge zero.
  void cut_out(Range range, std::span<const std::byte> rows, const std::vector<hsize_t>& corner,
               Bytes& plain) const {
    const ArrayInfo& info = layout().info;
    const std::vector<std::int64_t> row_strides = c_strides(info.shape);
    std::vector<std::int64_t> extent;
    std::int64_t from = -range.begin * row_strides[0];
    for (std::size_t axis = 0; axis < corner.size(); ++axis) {
      const auto begin = static_cast<std::int64_t>(corner[axis]);
      extent.push_back(std::min(info.chunk_shape[axis], info.shape[axis] - begin));
      from += begin * row_strides[axis];
    }
    if (extent != info.chunk_shape) std::fill(plain.begin(), plain.end(), std::byte{});
    const std::size_t width = dtype_size(info.dtype);
    copy_box(extent, rows.data() + static_cast<std::size_t>(from) * width, row_strides,
             plain.data(), c_strides(info.chunk_shape), width);
  }

  void write_chunk(const std::vector<hsize_t>& corner, const Bytes& plain) const {
    const unsigned level = layout().pipeline[0].parameters.at(0);
    const Bytes packed = deflate_zlib(plain, static_cast<int>(level));
    const Lock lock;
    check(H5Dwrite_chunk(dataset(), H5P_DEFAULT, 0, corner.data(), packed.size(), packed.data()),
          Error::Kind::io,
          fmt::format("can't write {}", human_bytes(static_cast<std::int64_t>(packed.size()))));
  }
};

std::unique_ptr<ArrayWriter> make_writer(std::shared_ptr<File> file, Handle dataset,
                                         const std::string& location) {
  Layout layout = read_layout(*file, dataset.get(), location);
  if (layout.pipeline.empty() || layout.type.dtype == DType::string) {
    return std::make_unique<PlacedWriter>(std::move(file), std::move(dataset), std::move(layout));
  }
  const bool gzip_only = layout.pipeline.size() == 1 && layout.pipeline[0].id == H5Z_FILTER_DEFLATE;
  if (!gzip_only || !layout.type.plain || layout.type.swap) {
    throw input_error(
        fmt::format("{}: can't be written through its filters {}; expected gzip or none", location,
                    layout.info.codecs));
  }
  return std::make_unique<GzipWriter>(std::move(file), std::move(dataset), std::move(layout));
}

bool is_chunked(const ArraySpec& spec, const std::string& location) {
  if (spec.codec != "none" && spec.codec != "gzip" && spec.codec != "zstd") {
    throw input_error(
        fmt::format("{}: HDF5 has no codec '{}'; expected gzip or none", location, spec.codec));
  }
  return spec.codec != "none" && !spec.shape.empty() && spec.dtype != DType::string;
}

/// Chunked with gzip, and one axis without a limit so that the array can be appended to.
void set_gzip(hid_t creation, const ArraySpec& spec) {
  std::vector<hsize_t> chunk = sizes_of(spec.chunk_shape.empty() ? spec.shape : spec.chunk_shape);
  for (std::size_t axis = 0; axis < chunk.size(); ++axis) {
    chunk[axis] = std::clamp<hsize_t>(chunk[axis], 1,
                                      std::max<hsize_t>(static_cast<hsize_t>(spec.shape[axis]), 1));
  }
  check(H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data()), Error::Kind::io,
        "its chunks");
  // A level of zstd or lz4 means nothing to gzip.
  const int level = spec.codec == "gzip" && spec.level >= 0 ? spec.level : default_level;
  check(H5Pset_deflate(creation, static_cast<unsigned>(level)), Error::Kind::io, "its codec");
}

}  // namespace

std::unique_ptr<ArrayWriter> create_array(std::shared_ptr<File> file, const std::string& path,
                                          const ArraySpec& spec) {
  const std::string location = file->location_of(path);
  const bool chunked = is_chunked(spec, location);
  const Lock lock;
  Handle dataset = with_context(location, [&] {
    const Handle creation = own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    std::vector<hsize_t> shape = sizes_of(spec.shape);
    std::vector<hsize_t> limit = shape;
    if (chunked) {
      set_gzip(creation.get(), spec);
      if (limit.size() == 1) limit[0] = H5S_UNLIMITED;
    } else if (spec.dtype != DType::string) {
      H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
      H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
    }
    const Handle space = own(shape.empty() ? H5Screate(H5S_SCALAR)
                                           : H5Screate_simple(static_cast<int>(shape.size()),
                                                              shape.data(), limit.data()),
                             H5Sclose);
    const Handle type = memory_type(spec.dtype);
    const Handle links = make_links();
    return own(H5Dcreate2(file->id(), path.c_str(), type.get(), space.get(), links.get(),
                          creation.get(), H5P_DEFAULT),
               H5Dclose);
  });
  file->check_written();
  return make_writer(std::move(file), std::move(dataset), location);
}

std::unique_ptr<ArrayWriter> open_writer(std::shared_ptr<File> file, const std::string& path) {
  const std::string location = file->location_of(path);
  const Lock lock;
  Handle dataset = checked(H5Dopen2(file->id(), path.c_str(), H5P_DEFAULT), H5Dclose,
                           Error::Kind::input, location);
  return make_writer(std::move(file), std::move(dataset), location);
}

}  // namespace cellmill::hdf5
