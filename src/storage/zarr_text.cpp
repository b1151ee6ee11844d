#include "storage/zarr_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

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

std::uint32_t read_u32(std::span<const std::byte> in, std::size_t at) {
  if (in.size() < at + 4) throw input_error("vlen-utf8 data end early");
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= std::to_integer<std::uint32_t>(in[at + i]) << (8 * i);
  }
  return value;
}

void append_u32(Bytes& out, std::size_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::byte>(value >> shift & 0xFF));
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

Bytes bytes_of_base64(std::string_view text) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  Bytes bytes;
  const std::size_t end = std::min(text.size(), text.find_last_not_of('=') + 1);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text.substr(0, end)) {
    const std::size_t digit = digits.find(c);
    if (digit == std::string_view::npos) {
      throw input_error(fmt::format("'{}' is not base64", text));
    }
    bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xFFFF;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<std::byte>(bits >> held & 0xFF));
    }
  }
  return bytes;
}

void decode_vlen_utf8(std::span<const std::byte> in, std::int64_t first, std::int64_t count,
                      Strings& out) {
  const auto found = static_cast<std::int64_t>(read_u32(in, 0));
  if (found < first + count) {
    throw input_error(
        fmt::format("vlen-utf8 data hold {} strings, expected {}", found, first + count));
  }
  std::size_t at = 4;
  for (std::int64_t i = 0; i < first + count; ++i) {
    const std::size_t length = read_u32(in, at);
    at += 4;
    if (length > in.size() - at) throw input_error("vlen-utf8 data end early");
    if (i >= first) out.push_back({reinterpret_cast<const char*>(in.data() + at), length});
    at += length;
  }
}

Bytes encode_vlen_utf8(const Strings& strings, std::int64_t first, std::int64_t count) {
  Bytes out;
  append_u32(out, static_cast<std::size_t>(count));
  for (std::int64_t i = first; i < first + count; ++i) {
    const std::string_view value = i < strings.size() ? strings[i] : std::string_view{};
    if (value.size() > std::numeric_limits<std::uint32_t>::max()) {
      throw input_error("a string of over 4 GB can't be written");
    }
    append_u32(out, value.size());
    const auto* bytes = reinterpret_cast<const std::byte*>(value.data());
    out.insert(out.end(), bytes, bytes + value.size());
  }
  return out;
}

}  // namespace cellmill
