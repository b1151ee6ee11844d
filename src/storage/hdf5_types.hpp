#pragma once

#include <cstddef>
#include <string>

#include "cellmill/storage/dtype.hpp"
#include "storage/hdf5_library.hpp"

namespace cellmill::hdf5 {

enum class StringKind { none, variable, fixed };

/// What a type in a file is to us. Call all of these under the Lock.
struct ElementType {
  DType dtype = DType::float32;
  /// Bytes in the file are native ones, or become so by swapping; else libhdf5 has to convert.
  bool plain = true;
  bool swap = false;
  StringKind strings = StringKind::none;
  std::size_t file_size = 0;             ///< bytes of one element in the file
  H5T_str_t padding = H5T_STR_NULLTERM;  ///< of strings

  /// Bytes of one element as it is decoded: a native number, or a string of fixed length.
  [[nodiscard]] std::size_t memory_size() const {
    return strings == StringKind::fixed ? file_size : dtype_size(dtype);
  }
};

/// \throws Error(input) naming the type, for compounds, references, …
[[nodiscard]] ElementType classify(hid_t type);

/// The type in memory of elements of `dtype`, to read from or write to elements of type `file` (an
/// enumeration stays one). For boolean without `file`, h5py's ENUM {FALSE, TRUE} on int8.
[[nodiscard]] Handle memory_type(DType dtype);
[[nodiscard]] Handle memory_type_for(hid_t file, DType dtype);

/// A compound of one member, to read that member of a larger one.
[[nodiscard]] Handle compound_of(const std::string& member, hid_t type);

/// Variable length, null-terminated, UTF-8: as anndata writes all strings.
[[nodiscard]] Handle string_type();
/// The string type in memory that a string type in a file can be read as without conversion of its
/// characters, which libhdf5 refuses.
[[nodiscard]] Handle variable_string_like(hid_t file);

[[nodiscard]] bool is_h5py_bool(hid_t type);

}  // namespace cellmill::hdf5
