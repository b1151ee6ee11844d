#include "storage/structured_array.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cellmill/core/error.hpp"

namespace cellmill {

void StructuredArray::refuse() const {
  throw input_error(
      fmt::format("{}: is a table in one array, with the fields {}; expected numbers "
                  "or strings",
                  info_.location, fmt::join(info_.fields, ", ")));
}

EncodedChunk StructuredArray::fetch(std::int64_t /*chunk*/) const { refuse(); }

std::int64_t StructuredArray::encoded_bytes(std::int64_t /*chunk*/) const { refuse(); }

void StructuredArray::decode(const EncodedChunk& /*encoded*/, std::span<std::byte> /*out*/) const {
  refuse();
}

Strings StructuredArray::read_strings(Range /*range*/) const { refuse(); }

std::string field_location(const std::string& location, const std::string& field) {
  return fmt::format("{}, field {}", location, field);
}

void no_such_field(const std::string& location, const std::string& field,
                   const std::vector<std::string>& fields) {
  if (fields.empty()) {
    throw input_error(fmt::format("{}: is an ordinary array, expected a table with a field '{}'",
                                  location, field));
  }
  throw missing_error(
      fmt::format("{}: there is no field '{}', only {}", location, field, fmt::join(fields, ", ")));
}

}  // namespace cellmill
