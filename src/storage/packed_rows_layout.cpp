#include "storage/packed_rows_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

constexpr std::size_t header_bytes = 16;
constexpr std::uint32_t magic = 0x52504D43;  // CMPR
constexpr std::uint32_t version = 1;
constexpr std::uint32_t most_low_bits = 6;
constexpr std::size_t base_widths[4] = {0, 1, 2, 4};

/// A little-endian number of 0, 1, 2 or 4 bytes.
std::uint32_t load(const std::byte* at, std::size_t width) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(at[i]); };
  if (width == 4) return byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
  if (width == 2) return byte(0) | byte(1) << 8;
  return width == 1 ? byte(0) : 0;
}

std::byte* store(std::byte* at, std::uint32_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) *at++ = static_cast<std::byte>(value >> (8 * i));
  return at;
}

/// Of the numbers of escapes of n values.
std::size_t number_width(std::uint32_t n) { return n < 1U << 8 ? 1 : (n < 1U << 16 ? 2 : 4); }

std::uint32_t base_code(std::uint32_t base) {
  if (base == 0) return 0;
  return base < 1U << 8 ? 1 : (base < 1U << 16 ? 2 : 3);
}

Error corrupt(const std::string& what) { return input_error("packed rows: " + what); }

}  // namespace

PackedChunk::PackedChunk(std::span<const std::byte> bytes) {
  if (bytes.size() < header_bytes) {
    throw corrupt(fmt::format("{} bytes, expected a header of {}", bytes.size(), header_bytes));
  }
  const std::byte* const at = bytes.data();
  if (load(at, 4) != magic) throw corrupt("they don't begin with CMPR");
  const std::uint32_t found = load(at + 4, 1);
  if (found != version) {
    throw corrupt(fmt::format("version {}, this program reads version {}", found, version));
  }
  const std::uint32_t kind = load(at + 5, 1);
  element_width_ = load(at + 6, 1);
  entry_width_ = load(at + 7, 1);
  const bool widths_known =
      (element_width_ == 1 || element_width_ == 2 || element_width_ == 4 || element_width_ == 8) &&
      (entry_width_ == 2 || entry_width_ == 4);
  if (kind > static_cast<std::uint32_t>(PackedKind::counts) || !widths_known) {
    throw corrupt(fmt::format("kind {}, elements of {} bytes, a table of {} bytes a number", kind,
                              element_width_, entry_width_));
  }
  kind_ = static_cast<PackedKind>(kind);
  elements_ = load(at + 8, 4);
  fragments_ = load(at + 12, 4);
  const std::size_t table_bytes = 2 * static_cast<std::size_t>(fragments_) * entry_width_;
  if (fragments_ > elements_ || table_bytes > bytes.size() - header_bytes) {
    throw corrupt(fmt::format("{} bytes don't hold the table of {} rows of {} elements",
                              bytes.size(), grouped(fragments_), grouped(elements_)));
  }
  table_ = bytes.subspan(header_bytes, table_bytes);
  payload_ = bytes.subspan(header_bytes + table_bytes);
}

std::int64_t PackedChunk::entry(std::int64_t index) const {
  const std::byte* const at = table_.data() + static_cast<std::size_t>(index) * entry_width_;
  return entry_width_ == 4 ? load(at, 4) : load(at, 2);
}

std::int64_t PackedChunk::find(std::int64_t element) const {
  // Without branches on what is compared: where a row lies can't be predicted.
  const auto search = [&]<std::size_t Width>() {
    const std::byte* first = table_.data();
    auto count = static_cast<std::size_t>(fragments_);
    while (count > 1) {
      const std::size_t half = count / 2;
      const bool after = load(first + (half - 1) * Width, Width) <= element;
      first += after ? half * Width : 0;
      count -= half;
    }
    const bool after = count == 1 && load(first, Width) <= element;
    return (first - table_.data()) / static_cast<std::int64_t>(Width) + (after ? 1 : 0);
  };
  return entry_width_ == 4 ? search.operator()<4>() : search.operator()<2>();
}

PackedChunk::Fragment PackedChunk::fragment(std::int64_t index) const {
  const Range elements{index == 0 ? 0 : element_end(index - 1), element_end(index)};
  const Range bytes{index == 0 ? 0 : byte_end(index - 1), byte_end(index)};
  if (elements.empty() || elements.end > elements_ || bytes.size() < 0 ||
      bytes.end > static_cast<std::int64_t>(payload_.size())) {
    throw corrupt(fmt::format("row {} of {}: elements {}–{} of {}, bytes {}–{} of {}",
                              grouped(index), grouped(fragments_), grouped(elements.begin),
                              grouped(elements.end), grouped(elements_), grouped(bytes.begin),
                              grouped(bytes.end),
                              grouped(static_cast<std::int64_t>(payload_.size()))));
  }
  return {elements, payload_.subspan(static_cast<std::size_t>(bytes.begin),
                                     static_cast<std::size_t>(bytes.size()))};
}

void PackedChunk::check_table() const {
  for (std::int64_t i = 0; i < fragments_; ++i) (void)fragment(i);
  const std::int64_t elements = fragments_ == 0 ? 0 : element_end(fragments_ - 1);
  const std::int64_t bytes = fragments_ == 0 ? 0 : byte_end(fragments_ - 1);
  if (elements != elements_ || bytes != static_cast<std::int64_t>(payload_.size())) {
    throw corrupt(fmt::format("rows of {} elements in {} bytes, expected {} in {}",
                              grouped(elements), grouped(bytes), grouped(elements_),
                              grouped(static_cast<std::int64_t>(payload_.size()))));
  }
}

PackedFragment PackedChunk::streams(const Fragment& fragment) const {
  const std::span<const std::byte> bytes = fragment.bytes;
  PackedFragment parsed{};
  parsed.n = static_cast<std::uint32_t>(fragment.elements.size());
  const std::size_t width = number_width(parsed.n);
  const std::uint32_t shape = bytes.size() < 2 ? 0 : load(bytes.data(), 2);
  const std::size_t base_width = base_widths[shape >> 12 & 3];
  const std::size_t header = 2 + base_width + 3 * width;
  if (bytes.size() < header || shape >> 14 != 0) {
    throw corrupt(
        fmt::format("{} bytes do not begin a row of {} elements", bytes.size(), grouped(parsed.n)));
  }
  parsed.low_bits = shape & 7;
  for (std::uint32_t i = 0; i < 3; ++i) parsed.widths[i] = shape >> (3 * i + 3) & 7;
  parsed.base = load(bytes.data() + 2, base_width);
  for (std::size_t i = 0; i < 3; ++i) {
    parsed.escapes[i] = load(bytes.data() + 2 + base_width + i * width, width);
  }
  const std::uint64_t counts[5] = {parsed.n, parsed.n, parsed.escapes[0], parsed.escapes[1],
                                   parsed.escapes[2]};
  const std::uint32_t bits[5] = {parsed.low_bits, parsed.widths[0], parsed.widths[1],
                                 parsed.widths[2], 8};
  bool sound = parsed.low_bits <= most_low_bits && escapes_end(parsed.widths) <= 255;
  std::uint64_t begins[6] = {header};
  for (int i = 0; i < 5; ++i) {
    begins[i + 1] = begins[i] + field_bytes(counts[i], bits[i]);
    sound = sound && (i == 0 || counts[i] <= counts[i - 1]);
  }
  const std::uint64_t rest = begins[5] <= bytes.size() ? bytes.size() - begins[5] : 1;
  if (!sound || rest % 4 != 0 || rest / 4 > parsed.escapes[2]) {
    throw corrupt(
        fmt::format("{} bytes do not hold a row of {} elements", bytes.size(), grouped(parsed.n)));
  }
  parsed.escapes[3] = static_cast<std::uint32_t>(rest / 4);
  const auto* const at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  parsed.low = at + begins[0];
  for (int i = 0; i < 3; ++i) parsed.level[i] = at + begins[i + 1];
  parsed.bytes = at + begins[4];
  parsed.large = at + begins[5];
  parsed.end = reinterpret_cast<const std::uint8_t*>(payload_.data() + payload_.size());
  return parsed;
}

Bytes begin_packed_chunk(PackedKind kind, std::size_t element_width, const PackedTable& table) {
  const std::size_t fragments = table.element_ends.size();
  const std::uint32_t elements = fragments == 0 ? 0 : table.element_ends.back();
  const std::uint32_t payload = fragments == 0 ? 0 : table.byte_ends.back();
  const std::size_t width = std::max(elements, payload) < 1U << 16 ? 2 : 4;
  Bytes chunk;
  chunk.reserve(header_bytes + 2 * fragments * width + payload);
  chunk.resize(header_bytes + 2 * fragments * width);
  std::byte* at = store(chunk.data(), magic, 4);
  at = store(at, version, 1);
  at = store(at, static_cast<std::uint32_t>(kind), 1);
  at = store(at, static_cast<std::uint32_t>(element_width), 1);
  at = store(at, static_cast<std::uint32_t>(width), 1);
  at = store(at, elements, 4);
  at = store(at, static_cast<std::uint32_t>(fragments), 4);
  for (const std::uint32_t end : table.element_ends) at = store(at, end, width);
  for (const std::uint32_t end : table.byte_ends) at = store(at, end, width);
  return chunk;
}

std::size_t write_fragment_header(const PackedWidths& widths, std::uint32_t base, std::uint32_t n,
                                  const std::uint32_t (&escapes)[3], std::byte* out) {
  const std::uint32_t code = base_code(base);
  const std::uint32_t shape = widths.low | widths.levels[0] << 3 | widths.levels[1] << 6 |
                              widths.levels[2] << 9 | code << 12;
  std::byte* at = store(out, shape, 2);
  at = store(at, base, base_widths[code]);
  for (const std::uint32_t count : escapes) at = store(at, count, number_width(n));
  return static_cast<std::size_t>(at - out);
}

}  // namespace cellmill
