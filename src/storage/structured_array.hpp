#pragma once

#include <string>
#include <vector>

#include "cellmill/storage/array.hpp"

namespace cellmill {

/// A table in one array, of which only the description is read: its fields are arrays
/// (Group::field), it is none.
class StructuredArray final : public Array {
 public:
  explicit StructuredArray(ArrayInfo info) : info_(std::move(info)) {}

  [[nodiscard]] const ArrayInfo& info() const override { return info_; }
  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override;
  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t chunk) const override;
  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override;
  [[nodiscard]] Strings read_strings(Range range) const override;

 private:
  [[noreturn]] void refuse() const;
  ArrayInfo info_;
};

/// `obs, field louvain` behind the store's name, for messages.
[[nodiscard]] std::string field_location(const std::string& location, const std::string& field);
/// \throws Error(missing) that names the fields there are
[[noreturn]] void no_such_field(const std::string& location, const std::string& field,
                                const std::vector<std::string>& fields);

}  // namespace cellmill
