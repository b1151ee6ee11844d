#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cellmill {

/// Many UTF-8 strings in two buffers: 8 bytes and its characters each, instead of a std::string
/// each.
class Strings {
 public:
  Strings() : offsets_{0} {}
  explicit Strings(std::span<const std::string> values);

  void push_back(std::string_view value);
  void reserve(std::int64_t count, std::int64_t bytes);
  void append(const Strings& other);
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(offsets_.size()) - 1; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::string_view operator[](std::int64_t i) const {
    const auto index = static_cast<std::size_t>(i);
    return std::string_view(bytes_).substr(
        static_cast<std::size_t>(offsets_[index]),
        static_cast<std::size_t>(offsets_[index + 1] - offsets_[index]));
  }
  [[nodiscard]] std::int64_t bytes() const { return static_cast<std::int64_t>(bytes_.size()); }
  [[nodiscard]] std::vector<std::string> to_vector() const;
  bool operator==(const Strings&) const = default;

 private:
  std::vector<std::int64_t> offsets_;
  std::string bytes_;
};

}  // namespace cellmill
