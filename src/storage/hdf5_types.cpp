#include "storage/hdf5_types.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <cstring>

namespace cellmill::hdf5 {

namespace {

constexpr H5T_order_t native_order =
    std::endian::native == std::endian::little ? H5T_ORDER_LE : H5T_ORDER_BE;

[[noreturn]] void unsupported(const std::string& what) {
  throw input_error(fmt::format("holds {}, which is not supported", what));
}

const char* class_name(H5T_class_t kind) {
  switch (kind) {
    case H5T_TIME:
      return "times";
    case H5T_BITFIELD:
      return "bit fields";
    case H5T_OPAQUE:
      return "opaque bytes";
    case H5T_COMPOUND:
      return "a compound type (a table in one array)";
    case H5T_REFERENCE:
      return "references";
    case H5T_VLEN:
      return "sequences of variable length";
    case H5T_ARRAY:
      return "arrays as elements";
    default:
      return "an unknown type";
  }
}

ElementType integer_type(hid_t type) {
  const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
  ElementType element;
  element.file_size = H5Tget_size(type);
  switch (element.file_size) {
    case 1:
      element.dtype = is_signed ? DType::int8 : DType::uint8;
      break;
    case 2:
      element.dtype = is_signed ? DType::int16 : DType::uint16;
      break;
    case 4:
      element.dtype = is_signed ? DType::int32 : DType::uint32;
      break;
    case 8:
      element.dtype = is_signed ? DType::int64 : DType::uint64;
      break;
    default:
      unsupported(fmt::format("integers of {} bytes", element.file_size));
  }
  element.plain = H5Tget_precision(type) == element.file_size * 8;
  element.swap = element.file_size > 1 && H5Tget_order(type) != native_order;
  return element;
}

ElementType float_type(hid_t type) {
  ElementType element;
  element.file_size = H5Tget_size(type);
  if (H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F32BE) > 0) {
    element.dtype = DType::float32;
  } else if (H5Tequal(type, H5T_IEEE_F64LE) > 0 || H5Tequal(type, H5T_IEEE_F64BE) > 0) {
    element.dtype = DType::float64;
  } else {
    element.dtype = element.file_size <= 2 ? DType::float32 : DType::float64;
    element.plain = false;
  }
  element.swap = H5Tget_order(type) != native_order;
  return element;
}

hid_t native_type(DType dtype) {
  switch (dtype) {
    case DType::boolean:
    case DType::int8:
      return H5T_NATIVE_INT8;
    case DType::int16:
      return H5T_NATIVE_INT16;
    case DType::int32:
      return H5T_NATIVE_INT32;
    case DType::int64:
      return H5T_NATIVE_INT64;
    case DType::uint8:
      return H5T_NATIVE_UINT8;
    case DType::uint16:
      return H5T_NATIVE_UINT16;
    case DType::uint32:
      return H5T_NATIVE_UINT32;
    case DType::uint64:
      return H5T_NATIVE_UINT64;
    case DType::float32:
      return H5T_NATIVE_FLOAT;
    case DType::float64:
      return H5T_NATIVE_DOUBLE;
    case DType::string:
      break;
  }
  throw input_error("strings have no numeric type");
}

Handle owned(hid_t type) { return checked(type, H5Tclose, Error::Kind::io, "an HDF5 type"); }

}  // namespace

bool is_h5py_bool(hid_t type) {
  if (H5Tget_class(type) != H5T_ENUM || H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) {
    return false;
  }
  const auto value_of = [&](const char* name) {
    std::int8_t value = -1;
    return H5Tenum_valueof(type, name, &value) < 0 ? -1 : static_cast<int>(value);
  };
  return value_of("FALSE") == 0 && value_of("TRUE") == 1;
}

ElementType classify(hid_t type) {
  switch (const H5T_class_t kind = H5Tget_class(type); kind) {
    case H5T_INTEGER:
      return integer_type(type);
    case H5T_FLOAT:
      return float_type(type);
    case H5T_ENUM: {
      if (is_h5py_bool(type)) return {.dtype = DType::boolean, .file_size = 1};
      const Handle base = owned(H5Tget_super(type));
      return integer_type(base.get());
    }
    case H5T_STRING: {
      const bool variable = H5Tis_variable_str(type) > 0;
      if (H5Tget_size(type) == 0) unsupported("strings of no length");
      return {DType::string,
              !variable,
              false,
              variable ? StringKind::variable : StringKind::fixed,
              H5Tget_size(type),
              H5Tget_strpad(type)};
    }
    default:
      unsupported(class_name(kind));
  }
}

Handle memory_type(DType dtype) {
  if (dtype == DType::string) return string_type();
  if (dtype != DType::boolean) return owned(H5Tcopy(native_type(dtype)));
  Handle type = owned(H5Tenum_create(H5T_NATIVE_INT8));
  for (const auto& [name, value] : {std::pair("FALSE", std::int8_t{0}), {"TRUE", 1}}) {
    check(H5Tenum_insert(type.get(), name, &value), Error::Kind::io, "an HDF5 type");
  }
  return type;
}

Handle memory_type_for(hid_t file, DType dtype) {
  if (H5Tget_class(file) == H5T_ENUM) return owned(H5Tget_native_type(file, H5T_DIR_ASCEND));
  return memory_type(dtype);
}

Handle compound_of(const std::string& member, hid_t type) {
  Handle compound = owned(H5Tcreate(H5T_COMPOUND, H5Tget_size(type)));
  check(H5Tinsert(compound.get(), member.c_str(), 0, type), Error::Kind::io, "an HDF5 type");
  return compound;
}

Handle string_type() {
  Handle type = owned(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

Handle variable_string_like(hid_t file) {
  Handle type = string_type();
  H5Tset_cset(type.get(), H5Tget_cset(file));
  return type;
}

}  // namespace cellmill::hdf5
