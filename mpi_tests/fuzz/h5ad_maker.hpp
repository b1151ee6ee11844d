#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "input.hpp"
#include "storage/hdf5_library.hpp"

namespace cellmill {

/// Writes an h5ad file that is sound for libhdf5, whatever the input: its bytes decide where the
/// file differs from a sound AnnData of 6 cells and 4 genes. A zero, and so what lies behind the
/// input's end, decides for what is sound. Chunks are written as they come from the input, with the
/// filter masks that it says.
class H5adMaker {
 public:
  explicit H5adMaker(FuzzInput& input) : input_(input) {}

  void write(const std::filesystem::path& path) {
    const hdf5::Lock lock;
    const Handle file =
        own(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
    attribute(file.get(), "encoding-type", "anndata");
    attribute(file.get(), "encoding-version", "0.1.0");
    frame(file.get(), "obs", cells);
    frame(file.get(), "var", genes);
    matrix(file.get(), "X");
    const std::uint8_t more = input_.byte();
    if ((more & 1U) != 0) matrix(group(file.get(), "layers").get(), "counts");
    if ((more & 2U) != 0) {
      const Handle raw = group(file.get(), "raw");
      attribute(raw.get(), "encoding-type", "raw");
      frame(raw.get(), "var", genes);
      matrix(raw.get(), "X");
    }
    if ((more & 4U) != 0) numbers(group(file.get(), "obsm").get(), "X_pca", {0, 1, 2, 3, 4, 5});
    if ((more & 8U) != 0) frame(group(file.get(), "uns").get(), "table", genes);
  }

  /// Whether no dataset claims more than a few thousand elements, so that all of it can be read.
  [[nodiscard]] bool is_small() const { return small_; }

 private:
  using Handle = hdf5::Handle;
  static constexpr std::int64_t cells = 6;
  static constexpr std::int64_t genes = 4;
  static constexpr hsize_t chunk_elements = 8;

  static Handle own(hid_t id, Handle::Close close) {
    return hdf5::checked(id, close, Error::Kind::input, "fuzzing");
  }
  static Handle group(hid_t parent, const char* name) {
    return own(H5Gcreate2(parent, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  }
  static Handle text_type(std::size_t size) {
    Handle type = own(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), size);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    return type;
  }

  std::int64_t number() {
    static constexpr std::array<std::int64_t, 12> special = {-1,
                                                             INT64_MIN,
                                                             INT64_MAX,
                                                             INT32_MAX,
                                                             std::int64_t{1} << 31,
                                                             -(1 << 30),
                                                             std::int64_t{1} << 32,
                                                             std::int64_t{1} << 40,
                                                             1'000'000'000'000,
                                                             65'535,
                                                             65'536,
                                                             256};
    const std::uint8_t value = input_.byte();
    return value < 200 ? value : special[value % special.size()];
  }
  /// A dataset's length.
  hsize_t length() {
    const std::int64_t found = number();
    if (found < 0) return 0;
    if (found > 256) small_ = false;
    return static_cast<hsize_t>(found % (std::int64_t{1} << 41));
  }
  std::string text() { return std::string(input_.text()); }

  void attribute(hid_t object, const char* name, const char* sound) {
    static constexpr std::array<const char*, 12> known = {
        "anndata", "dataframe", "csr_matrix",   "csc_matrix",       "array",          "categorical",
        "dict",    "null",      "string-array", "nullable-integer", "numeric-scalar", "0.2.0"};
    const std::uint8_t how = input_.byte();
    switch (how % 8) {
      case 1:
        return;
      case 2:
        return text_attribute(object, name, text());
      case 3:
        return numbers_attribute(object, name, {number()});
      case 4:
        return text_attribute(object, name, known[how / 8 % known.size()]);
      case 5:
        return texts_attribute(object, name, {sound, text()});
      default:
        return text_attribute(object, name, sound);
    }
  }
  static void text_attribute(hid_t object, const char* name, const std::string& value) {
    const Handle type = text_type(H5T_VARIABLE);
    const Handle space = own(H5Screate(H5S_SCALAR), H5Sclose);
    const char* const pointer = value.c_str();
    write_attribute(object, name, type.get(), space.get(), &pointer);
  }
  static void texts_attribute(hid_t object, const char* name,
                              const std::vector<std::string>& values) {
    const Handle type = text_type(H5T_VARIABLE);
    const hsize_t size = values.size();
    const Handle space = own(H5Screate_simple(1, &size, nullptr), H5Sclose);
    std::vector<const char*> pointers;
    for (const std::string& value : values) pointers.push_back(value.c_str());
    write_attribute(object, name, type.get(), space.get(), pointers.data());
  }
  static void numbers_attribute(hid_t object, const char* name,
                                const std::vector<std::int64_t>& values) {
    const hsize_t size = values.size();
    const Handle space = own(H5Screate_simple(1, &size, nullptr), H5Sclose);
    write_attribute(object, name, H5T_NATIVE_INT64, space.get(), values.data());
  }
  static void write_attribute(hid_t object, const char* name, hid_t type, hid_t space,
                              const void* values) {
    const Handle attribute =
        own(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    H5Awrite(attribute.get(), type, values);
  }

  void encoding(hid_t object, const char* type, const char* version) {
    attribute(object, "encoding-type", type);
    attribute(object, "encoding-version", version);
  }

  static hid_t number_type(std::uint8_t which) {
    const std::array types = {H5T_STD_I32LE, H5T_STD_I64LE,  H5T_IEEE_F32LE, H5T_STD_I8LE,
                              H5T_STD_I16LE, H5T_STD_U8LE,   H5T_STD_U16LE,  H5T_STD_U32LE,
                              H5T_STD_U64LE, H5T_IEEE_F64LE, H5T_STD_I64BE,  H5T_IEEE_F32BE,
                              H5T_STD_B8LE};
    return types[which % types.size()];
  }

  void set_filters(hid_t creation, std::uint8_t which) {
    constexpr int lzf = 32000;
    switch (which % 5) {
      case 1:
        H5Pset_shuffle(creation);
        [[fallthrough]];
      case 0:
        H5Pset_deflate(creation, 4);
        break;
      case 2:
        H5Pset_filter(creation, lzf, H5Z_FLAG_OPTIONAL, 0, nullptr);
        break;
      case 3:
        H5Pset_shuffle(creation);
        H5Pset_fletcher32(creation);
        break;
      default:
        break;
    }
  }

  /// A vector, or a table of `columns`; bits of its first byte say what is not as it should be.
  Handle numbers(hid_t parent, const char* name, std::vector<std::int64_t> values,
                 std::uint8_t type = 0, hsize_t columns = 0) {
    const std::uint8_t how = input_.byte();
    if ((how & 128U) != 0) return {};
    if ((how & 1U) != 0) type = input_.byte();
    if ((how & 2U) != 0) {
      for (int left = input_.byte() % 8; left > 0; --left) {
        const std::size_t at = input_.byte() % (values.size() + 1);
        if (at == values.size()) values.push_back(0);
        values[at] = number();
      }
    }
    std::vector<hsize_t> shape = {values.size()};
    if (columns > 0) shape = {values.size() / columns, columns};
    if ((how & 4U) != 0) {
      for (hsize_t& axis : shape) axis = length();
    }
    std::vector<hsize_t> chunk(shape.size(), chunk_elements);
    if ((how & 8U) != 0) {
      for (hsize_t& axis : chunk) axis = 1 + input_.byte() % 64;
    }
    const Handle creation = own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const bool contiguous = (how & 64U) != 0 && small_;
    if (!contiguous) {
      H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
      set_filters(creation.get(), (how & 32U) != 0 ? input_.byte() : 0);
    }
    const Handle space =
        own(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
    Handle dataset = own(H5Dcreate2(parent, name, number_type(type), space.get(), H5P_DEFAULT,
                                    creation.get(), H5P_DEFAULT),
                         H5Dclose);
    hsize_t elements = 1;
    for (const hsize_t axis : shape) elements *= small_ ? axis : 0;
    if (small_) {
      values.resize(std::max<std::size_t>(elements, 1));
      H5Dwrite(dataset.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    }
    if ((how & 16U) != 0 && !contiguous) raw_chunk(dataset.get(), shape, chunk);
    return dataset;
  }

  /// Bytes of the input as a chunk. (libhdf5 1.10.8 crashes if it lies outside.)
  void raw_chunk(hid_t dataset, const std::vector<hsize_t>& shape,
                 const std::vector<hsize_t>& chunk) {
    std::vector<hsize_t> corner;
    for (std::size_t axis = 0; axis < chunk.size(); ++axis) {
      corner.push_back(input_.byte() % 4 * chunk[axis]);
      if (corner[axis] >= shape[axis]) return;
    }
    const std::uint32_t mask = input_.byte();
    const std::span<const std::byte> bytes = input_.take(input_.number() % 1024);
    if (bytes.empty()) return;
    H5Dwrite_chunk(dataset, H5P_DEFAULT, mask, corner.data(), bytes.size(), bytes.data());
  }

  void strings(hid_t parent, const char* name, std::int64_t rows) {
    const std::uint8_t how = input_.byte();
    if ((how & 128U) != 0) return;
    if ((how & 1U) != 0) return static_cast<void>(numbers(parent, name, {0, 1, 2, 3}));
    std::vector<std::string> values;
    for (std::int64_t row = 0; row < rows; ++row) values.push_back("n" + std::to_string(row));
    if ((how & 2U) != 0) values[input_.byte() % values.size()] = text();
    if ((how & 4U) != 0) values.resize(input_.byte() % 32);
    const hsize_t size = values.size();
    const Handle space = own(H5Screate_simple(1, &size, nullptr), H5Sclose);
    const std::size_t width = 1 + input_.byte() % 16;
    const Handle type = text_type((how & 8U) != 0 ? width : H5T_VARIABLE);
    const Handle dataset = own(
        H5Dcreate2(parent, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
        H5Dclose);
    encoding(dataset.get(), "string-array", "0.2.0");
    if ((how & 8U) != 0) {
      std::string together;
      for (const std::string& value : values)
        together += std::string(value).append(width, '\0').substr(0, width);
      H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, together.data());
      return;
    }
    std::vector<const char*> pointers;
    for (const std::string& value : values) pointers.push_back(value.c_str());
    H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data());
  }

  void frame(hid_t parent, const char* name, std::int64_t rows) {
    const Handle frame = group(parent, name);
    encoding(frame.get(), "dataframe", "0.2.0");
    attribute(frame.get(), "_index", "_index");
    strings(frame.get(), "_index", rows);
    const std::uint8_t which = input_.byte();
    std::vector<std::string> order;
    std::vector<std::int64_t> values(static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(i % 2);
    if ((which & 1U) != 0) {
      order.emplace_back("c");
      const Handle column = group(frame.get(), "c");
      encoding(column.get(), "categorical", "0.2.0");
      strings(column.get(), "categories", 2);
      encoding(numbers(column.get(), "codes", values, 3));
    }
    if ((which & 2U) != 0) {
      order.emplace_back("n");
      encoding(numbers(frame.get(), "n", values, 2));
    }
    if ((which & 4U) != 0) {
      order.emplace_back("m");
      const Handle column = group(frame.get(), "m");
      encoding(column.get(), "nullable-integer", "0.1.0");
      encoding(numbers(column.get(), "values", values));
      encoding(numbers(column.get(), "mask", values, 5));
    }
    if ((which & 8U) != 0) {
      order.emplace_back("s");
      strings(frame.get(), "s", rows);
    }
    if ((which & 16U) != 0) order.push_back(text());
    if ((which & 32U) == 0) {
      if (order.empty()) return numbers_attribute(frame.get(), "column-order", {});
      texts_attribute(frame.get(), "column-order", order);
    }
  }
  void encoding(const Handle& array) {
    if (array.valid()) encoding(array.get(), "array", "0.2.0");
  }

  void matrix(hid_t parent, const char* name) {
    const std::uint8_t how = input_.byte();
    if (how % 4 == 3) return;
    if (how % 4 == 2) {
      std::vector<std::int64_t> values(cells * genes, 1);
      return encoding(numbers(parent, name, values, 2, genes));
    }
    const bool rows = how % 4 == 0;
    const Handle sparse = group(parent, name);
    encoding(sparse.get(), rows ? "csr_matrix" : "csc_matrix", "0.1.0");
    std::vector<std::int64_t> shape = {cells, genes};
    const std::uint8_t other = input_.byte();
    if (other > 0) {
      shape.resize(other == 1 ? 2 : other % 4);
      for (std::int64_t& axis : shape) axis = number();
    }
    if (other != 255) numbers_attribute(sparse.get(), "shape", shape);
    const std::vector<std::int64_t> indptr = rows ? std::vector<std::int64_t>{0, 2, 2, 5, 6, 8, 10}
                                                  : std::vector<std::int64_t>{0, 3, 5, 8, 10};
    const std::vector<std::int64_t> indices =
        rows ? std::vector<std::int64_t>{0, 2, 0, 1, 3, 2, 1, 3, 0, 3}
             : std::vector<std::int64_t>{0, 2, 5, 2, 4, 0, 3, 4, 2, 5};
    encoding(numbers(sparse.get(), "indptr", indptr));
    encoding(numbers(sparse.get(), "indices", indices));
    encoding(numbers(sparse.get(), "data", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 2));
  }

  FuzzInput& input_;
  bool small_ = true;
};

}  // namespace cellmill
