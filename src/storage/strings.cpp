#include "cellmill/storage/strings.hpp"

namespace cellmill {

Strings::Strings(std::span<const std::string> values) : Strings() {
  std::size_t bytes = 0;
  for (const std::string& value : values) bytes += value.size();
  reserve(static_cast<std::int64_t>(values.size()), static_cast<std::int64_t>(bytes));
  for (const std::string& value : values) push_back(value);
}

void Strings::push_back(std::string_view value) {
  bytes_.append(value);
  offsets_.push_back(static_cast<std::int64_t>(bytes_.size()));
}

void Strings::reserve(std::int64_t count, std::int64_t bytes) {
  offsets_.reserve(static_cast<std::size_t>(count) + 1);
  bytes_.reserve(static_cast<std::size_t>(bytes));
}

void Strings::append(const Strings& other) {
  // Sizes first: `other` may be this object.
  const auto base = static_cast<std::int64_t>(bytes_.size());
  const std::int64_t count = other.size();
  bytes_.append(other.bytes_);
  for (std::int64_t i = 1; i <= count; ++i) {
    offsets_.push_back(base + other.offsets_[static_cast<std::size_t>(i)]);
  }
}

std::vector<std::string> Strings::to_vector() const {
  std::vector<std::string> values;
  values.reserve(static_cast<std::size_t>(size()));
  for (std::int64_t i = 0; i < size(); ++i) values.emplace_back((*this)[i]);
  return values;
}

}  // namespace cellmill
