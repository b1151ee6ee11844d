#include "storage/hdf5_fields.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"
#include "storage/enough_memory.hpp"
#include "storage/hdf5_layout.hpp"
#include "storage/hdf5_strings.hpp"
#include "storage/structured_array.hpp"

namespace cellmill::hdf5 {

namespace {

Handle own(hid_t id, Handle::Close close) {
  return checked(id, close, Error::Kind::input, "its description");
}

std::vector<std::string> member_names(hid_t type) {
  std::vector<std::string> names;
  const int count = H5Tget_nmembers(type);
  for (int i = 0; i < count; ++i) {
    char* const name = H5Tget_member_name(type, static_cast<unsigned>(i));
    names.emplace_back(name == nullptr ? "" : name);
    H5free_memory(name);
  }
  return names;
}

/// Lengths of the values in one record; none if it is one value.
std::vector<std::int64_t> lengths_of(hid_t type) {
  if (H5Tget_class(type) != H5T_ARRAY) return {};
  std::vector<hsize_t> sizes(static_cast<std::size_t>(std::max(H5Tget_array_ndims(type), 0)));
  check(H5Tget_array_dims2(type, sizes.data()), Error::Kind::input, "its description");
  return {sizes.begin(), sizes.end()};
}

template <class Body>
auto at_chunk(const ArrayInfo& info, std::int64_t chunk, Body&& body) {
  return with_context(fmt::format("{}, chunk {}", info.location, grouped(chunk)), body);
}

class FieldArray final : public Array {
 public:
  FieldArray(std::shared_ptr<File> file, Handle dataset, ArrayInfo info, std::string member,
             Handle type)
      : file_(std::move(file)),
        dataset_(std::move(dataset)),
        info_(std::move(info)),
        member_(std::move(member)),
        type_(std::move(type)) {
    std::int64_t bytes = static_cast<std::int64_t>(dtype_size(info_.dtype));
    for (std::size_t axis = 1; axis < info_.shape.size(); ++axis) bytes *= info_.shape[axis];
    row_bytes_ = bytes;
  }

  [[nodiscard]] const ArrayInfo& info() const override { return info_; }

  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override {
    return at_chunk(info_, chunk, [&] {
      expect_numbers();
      const std::int64_t rows = rows_of(chunk);
      EncodedChunk encoded;
      encoded.chunk = chunk;
      const std::span<std::byte> to = encoded.own(static_cast<std::size_t>(rows * row_bytes_));
      const Lock lock;
      const Handle in_file = own(H5Dget_space(dataset_.get()), H5Sclose);
      const std::int64_t first_row = chunk * info_.chunk_shape[0];
      const auto first = static_cast<hsize_t>(first_row);
      const auto count = static_cast<hsize_t>(rows);
      check(H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, &first, nullptr, &count, nullptr),
            Error::Kind::input, "its rows");
      const Handle in_memory = own(H5Screate_simple(1, &count, nullptr), H5Sclose);
      check(H5Dread(dataset_.get(), type_.get(), in_memory.get(), in_file.get(), H5P_DEFAULT,
                    to.data()),
            Error::Kind::input, "can't be read");
      return encoded;
    });
  }

  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t chunk) const override {
    return at_chunk(info_, chunk, [&] { return rows_of(chunk) * row_bytes_; });
  }

  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override {
    at_chunk(info_, encoded.chunk, [&] {
      expect_numbers();
      const std::int64_t wanted = info_.chunk_shape[0] * row_bytes_;
      if (static_cast<std::int64_t>(out.size()) != wanted || encoded.bytes.size() > out.size()) {
        throw input_error(fmt::format("room for {} bytes, it has {}", out.size(), wanted));
      }
      const auto end = std::copy(encoded.bytes.begin(), encoded.bytes.end(), out.begin());
      std::fill(end, out.end(), std::byte{});
    });
  }

  [[nodiscard]] Strings read_strings(Range range) const override {
    return with_context(info_.location, [&] {
      if (info_.dtype != DType::string) {
        throw input_error(fmt::format("holds {}, expected strings", dtype_name(info_.dtype)));
      }
      if (range.begin < 0 || range.end < range.begin || range.end > info_.shape[0]) {
        throw input_error(fmt::format("rows {}–{} asked for, it has {}", grouped(range.begin),
                                      grouped(range.end), grouped(info_.shape[0])));
      }
      expect_memory(range.size(), sizeof(std::int64_t));
      return hdf5::read_strings(dataset_.get(), range, member_);
    });
  }

 private:
  void expect_numbers() const {
    if (info_.dtype == DType::string) throw input_error("holds strings, expected numbers");
  }

  [[nodiscard]] std::int64_t rows_of(std::int64_t chunk) const {
    if (chunk < 0 || chunk >= chunk_count(info_)) {
      throw input_error(fmt::format("there are {}", grouped(chunk_count(info_))));
    }
    return std::min(info_.chunk_shape[0], info_.shape[0] - chunk * info_.chunk_shape[0]);
  }

  std::shared_ptr<File> file_;
  Handle dataset_;
  ArrayInfo info_;
  std::string member_;
  Handle type_;  ///< in memory: a compound of this member only; none for strings
  std::int64_t row_bytes_ = 0;
};

/// The member as it is in memory: of a native type, in as many values a record as in the file.
Handle value_type(hid_t file_type, hid_t base, DType dtype,
                  const std::vector<std::int64_t>& lengths) {
  Handle value = memory_type_for(base, dtype);
  if (H5Tget_class(file_type) != H5T_ARRAY) return value;
  const std::vector<hsize_t> sizes(lengths.begin(), lengths.end());
  return own(H5Tarray_create2(value.get(), static_cast<unsigned>(sizes.size()), sizes.data()),
             H5Tclose);
}

}  // namespace

bool is_structured(hid_t dataset) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  return type.valid() && H5Tget_class(type.get()) == H5T_COMPOUND;
}

ArrayInfo structured_info(hid_t dataset, const std::string& location) {
  return with_context(location, [&] {
    const Handle type = own(H5Dget_type(dataset), H5Tclose);
    ArrayInfo info = read_table_info(dataset);
    info.location = location;
    info.fields = member_names(type.get());
    return info;
  });
}

std::unique_ptr<Array> open_field(std::shared_ptr<File> file, const std::string& path,
                                  const std::string& field) {
  const Lock lock;
  const std::string location = file->location_of(path);
  Handle dataset = checked(H5Dopen2(file->id(), path.c_str(), H5P_DEFAULT), H5Dclose,
                           Error::Kind::input, location);
  if (!is_structured(dataset.get())) no_such_field(location, field, {});
  ArrayInfo info = structured_info(dataset.get(), location);
  const auto found = std::find(info.fields.begin(), info.fields.end(), field);
  if (found == info.fields.end()) no_such_field(location, field, info.fields);
  const auto index = static_cast<unsigned>(found - info.fields.begin());
  info.fields.clear();
  info.location = field_location(location, field);
  return with_context(info.location, [&] {
    if (info.shape.size() != 1) {
      throw input_error(
          fmt::format("is in a table of {} dimensions, expected 1", info.shape.size()));
    }
    const Handle table = own(H5Dget_type(dataset.get()), H5Tclose);
    const Handle type = own(H5Tget_member_type(table.get(), index), H5Tclose);
    const std::vector<std::int64_t> lengths = lengths_of(type.get());
    const bool several = H5Tget_class(type.get()) == H5T_ARRAY;
    const Handle base = own(several ? H5Tget_super(type.get()) : H5Tcopy(type.get()), H5Tclose);
    info.dtype = classify(base.get()).dtype;
    for (std::vector<std::int64_t>* shape : {&info.shape, &info.chunk_shape}) {
      shape->insert(shape->end(), lengths.begin(), lengths.end());
    }
    Handle member;
    if (info.dtype == DType::string) {
      if (several) throw input_error("holds several strings a record, which is not supported");
    } else {
      const Handle value = value_type(type.get(), base.get(), info.dtype, lengths);
      member = compound_of(field, value.get());
    }
    return std::make_unique<FieldArray>(std::move(file), std::move(dataset), std::move(info), field,
                                        std::move(member));
  });
}

}  // namespace cellmill::hdf5
