#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "cellmill/storage/dtype.hpp"

namespace cellmill {

/// How strings are kept: not at all, vlen-utf8, or in a fixed number of bytes as UCS-4 (numpy's U)
/// or as bytes (numpy's S).
enum class TextForm { none, vlen_utf8, ucs4, bytes };

/// What one element is, on disk and in memory.
struct ZarrElement {
  DType dtype = DType::float32;
  TextForm text = TextForm::none;
  std::size_t size = 4;  ///< on disk; 0 for vlen-utf8
  bool big_endian = false;
  bool half = false;      ///< 16-bit floats on disk, read as float32
  std::string time = {};  ///< numpy's type of dates and durations, without the byte order

  /// Bytes that a swap reverses: an element's, or a character's.
  [[nodiscard]] std::size_t swapped_size() const {
    return text == TextForm::none ? size : (text == TextForm::ucs4 ? 4 : 1);
  }
};

/// One field of a structured type: every record holds it at the same place.
struct ZarrField {
  std::string name;
  ZarrElement element;
  std::size_t offset = 0;           ///< in the record
  std::vector<std::int64_t> shape;  ///< of the values in one record; empty for one value
};

/// numpy's typestr: byte order, kind, size (for U in characters). Dates and durations of 64 bits
/// are int64. \throws Error(input) for what is not supported, naming it
[[nodiscard]] ZarrElement parse_zarr2_type(const std::string& text);
/// A `data_type`: a name, or a name with its configuration.
[[nodiscard]] ZarrElement parse_zarr3_type(const nlohmann::json& type);

/// The `data_type` of dates and durations, which `time` tells (ZarrElement).
[[nodiscard]] nlohmann::json zarr3_time_type(const std::string& time);

/// The fields of a structured type, packed one behind the other: v2's `[[name, type], …]`, maybe
/// with a shape, and v3's `struct`. Empty if the type is none.
[[nodiscard]] std::vector<ZarrField> parse_zarr2_fields(const nlohmann::json& dtype);
[[nodiscard]] std::vector<ZarrField> parse_zarr3_fields(const nlohmann::json& type);
[[nodiscard]] std::size_t record_size(const std::vector<ZarrField>& fields);
[[nodiscard]] std::vector<std::string> field_names(const std::vector<ZarrField>& fields);

/// Stored bytes in the byte order of memory, in place.
void swap_if_big_endian(const ZarrElement& element, std::span<std::byte> stored);
/// Stored numbers as they are in memory: swapped in place, then copied or widened to `out`, which
/// may be `stored` itself unless they are halves.
void to_native(const ZarrElement& element, std::span<std::byte> stored, std::span<std::byte> out);

/// A named extension of v3, `"name"` or `{"name": …, "configuration": {…}}`, in its two parts.
[[nodiscard]] std::string extension_name(const nlohmann::json& extension);
[[nodiscard]] nlohmann::json extension_options(const nlohmann::json& extension);

}  // namespace cellmill
