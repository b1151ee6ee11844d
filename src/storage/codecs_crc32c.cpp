#include <algorithm>
#include <array>

#include "storage/codecs.hpp"

#ifdef CELLMILL_HAVE_ISAL
#include <isa-l/crc.h>

#include "storage/vector_registers.hpp"
#endif

namespace cellmill {

#ifdef CELLMILL_HAVE_ISAL

std::uint32_t crc32c(std::span<const std::byte> bytes) {
  // The library picks the instruction set at run time; its length is an int and its pointer lacks
  // const, though it only reads.
  constexpr std::size_t piece = std::size_t{1} << 30;
  std::uint32_t crc = ~std::uint32_t{0};
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const auto part = bytes.subspan(at, std::min(piece, bytes.size() - at));
    crc = crc32_iscsi(
        const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(part.data())),  // NOLINT
        static_cast<int>(part.size()), crc);
  }
  clear_upper_halves();
  return ~crc;
}

#else

namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0U);
    table[i] = crc;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> table = make_table();

std::uint32_t by_table(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : bytes) {
    crc = table[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFF] ^ crc >> 8;
  }
  return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::span<const std::byte> bytes) {
  std::uint64_t crc = ~std::uint32_t{0};
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word;
    __builtin_memcpy(&word, bytes.data() + i, sizeof word);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  auto rest = static_cast<std::uint32_t>(crc);
  for (; i < bytes.size(); ++i) {
    rest = __builtin_ia32_crc32qi(rest, std::to_integer<unsigned char>(bytes[i]));
  }
  return ~rest;
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("sse4.2")) return by_instruction(bytes);
#endif
  return by_table(bytes);
}

#endif

}  // namespace cellmill
