#include "storage/zarr_text.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

void append_utf8(std::string& text, std::uint32_t point) {
  const auto put = [&](std::uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  const auto continuation = [&](int shift) { put(0x80 | (point >> shift & 0x3F)); };
  if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
    throw input_error(fmt::format("code point {:#x} does not exist", point));
  }
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    continuation(0);
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    continuation(6);
    continuation(0);
  } else {
    put(0xF0 | point >> 18);
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

}  // namespace

std::string utf8_of_ucs4(std::span<const std::byte> element) {
  std::size_t length = element.size() / 4;
  const auto point = [&](std::size_t i) {
    std::uint32_t value = 0;
    std::memcpy(&value, element.data() + 4 * i, sizeof value);
    return value;
  };
  while (length > 0 && point(length - 1) == 0) --length;
  std::string text;
  text.reserve(length);
  for (std::size_t i = 0; i < length; ++i) append_utf8(text, point(i));
  return text;
}

std::string text_of_bytes(std::span<const std::byte> element) {
  std::size_t length = element.size();
  while (length > 0 && element[length - 1] == std::byte{}) --length;
  return {reinterpret_cast<const char*>(element.data()), length};
}

}  // namespace cellmill
