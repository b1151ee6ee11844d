#include "storage/packed_rows_pack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/dtype_visit.hpp"
#include "storage/packed_rows_layout.hpp"
#include "storage/packed_rows_widths.hpp"

namespace cellmill {

namespace {

/// Values of this many elements, in fragments spread over the chunk, decide how all are split.
constexpr std::int64_t sample_elements = 4096;

/// The elements as whole numbers of 32 bits; whether they are all that.
template <class T>
bool as_integers(std::span<const std::byte> elements, std::span<std::uint32_t> out) {
  bool whole = true;
  for (std::size_t i = 0; i < out.size(); ++i) {
    T element;
    std::memcpy(&element, elements.data() + i * sizeof(T), sizeof(T));
    if constexpr (std::is_floating_point_v<T>) {
      const bool inside = element >= T{0} && element < T{4294967296.0};
      const auto integer = static_cast<std::uint32_t>(inside ? element : T{0});
      const auto back = static_cast<T>(integer);
      // By their bits, because a negative zero is none of ours.
      whole = whole && inside && std::memcmp(&back, &element, sizeof(T)) == 0;
      out[i] = integer;
    } else {
      const auto integer = static_cast<std::uint32_t>(element);
      whole = whole && element >= T{0} && static_cast<std::uint64_t>(element) == integer;
      out[i] = integer;
    }
  }
  return whole;
}

/// Packs the fragments of one chunk, if they are of the kind.
class Packer {
 public:
  Packer(PackedKind kind, DType dtype, std::span<const std::byte> elements,
         std::span<const std::uint32_t> ends, const PackedKernels& kernels)
      : kind_(kind),
        dtype_(dtype),
        width_(dtype_size(dtype)),
        elements_(elements),
        ends_(ends),
        kernels_(kernels) {}

  /// Nothing if elements are not of the kind, or would take more bytes than they have.
  Bytes pack();

 private:
  [[nodiscard]] Range fragment(std::size_t index) const {
    return {index == 0 ? 0 : ends_[index - 1], ends_[index]};
  }
  /// Values and base of a fragment; false if its elements are not of the kind.
  bool take_values(Range fragment);
  [[nodiscard]] bool choose();
  void append();

  PackedKind kind_;
  DType dtype_;
  std::size_t width_;
  std::span<const std::byte> elements_;
  std::span<const std::uint32_t> ends_;
  const PackedKernels& kernels_;
  PackedWidths widths_;
  std::uint32_t base_ = 0;
  RawVector<std::uint32_t> values_;
  RawVector<std::uint8_t> buffers_[6];
  Bytes payload_;
};

bool Packer::take_values(Range fragment) {
  const auto n = static_cast<std::size_t>(fragment.size());
  values_.resize(n);
  const auto bytes =
      elements_.subspan(static_cast<std::size_t>(fragment.begin) * width_, n * width_);
  bool sound = visit_dtype(dtype_, [&]<class T>() {
    if (kind_ == PackedKind::indices && !std::is_integral_v<T>) return false;
    return as_integers<T>(bytes, values_);
  });
  if (!sound) return false;
  if (kind_ == PackedKind::counts) {
    base_ = *std::min_element(values_.begin(), values_.end());
    for (std::uint32_t& value : values_) value -= base_;
    return true;
  }
  base_ = values_[0];
  for (std::size_t i = n - 1; i > 0; --i) {
    sound = sound && values_[i] > values_[i - 1];
    values_[i] -= values_[i - 1] + 1;
  }
  values_[0] = 0;
  return sound && base_ <= std::numeric_limits<std::int32_t>::max();
}

bool Packer::choose() {
  RawVector<std::uint32_t> sample;
  const auto all = static_cast<std::int64_t>(ends_.size());
  std::int64_t step = std::max<std::int64_t>(1, ends_.back() / sample_elements);
  step = std::min(step, std::max<std::int64_t>(1, all / 8));
  for (std::int64_t i = 0; i < all; i += step) {
    if (!take_values(fragment(static_cast<std::size_t>(i)))) return false;
    const std::size_t taken = std::min<std::size_t>(values_.size(), sample_elements);
    sample.insert(sample.end(), values_.begin(),
                  values_.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  widths_ = choose_widths(sample);
  return true;
}

void Packer::append() {
  const auto n = static_cast<std::uint32_t>(values_.size());
  constexpr std::size_t slack = 64;
  for (RawVector<std::uint8_t>& buffer : buffers_) {
    const std::size_t room = (&buffer == &buffers_[5] ? 4 : 1) * values_.size() + slack;
    if (buffer.size() < room) buffer.resize(room);
  }
  PackedSplit split{};
  split.low_bits = widths_.low;
  split.low = buffers_[0].data();
  for (std::size_t i = 0; i < 3; ++i) {
    split.widths[i] = widths_.levels[i];
    split.level[i] = buffers_[i + 1].data();
  }
  split.bytes = buffers_[4].data();
  split.large = buffers_[5].data();
  kernels_.split(values_.data(), n, split);

  const std::uint32_t(&escapes)[4] = split.escapes;
  std::byte header[most_fragment_header];
  const std::size_t header_bytes =
      write_fragment_header(widths_, base_, n, {escapes[0], escapes[1], escapes[2]}, header);
  payload_.insert(payload_.end(), header, header + header_bytes);
  const std::uint64_t counts[6] = {n, n, escapes[0], escapes[1], escapes[2], escapes[3]};
  const std::uint32_t bits[6] = {
      split.low_bits, split.widths[0], split.widths[1], split.widths[2], 8, 32};
  for (std::size_t i = 0; i < 6; ++i) {
    const auto* const from = reinterpret_cast<const std::byte*>(buffers_[i].data());
    payload_.insert(payload_.end(), from, from + field_bytes(counts[i], bits[i]));
  }
}

Bytes Packer::pack() {
  PackedTable table;
  table.element_ends.assign(ends_.begin(), ends_.end());
  if (!choose()) return {};
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    if (!take_values(fragment(i))) return {};
    append();
    if (payload_.size() > elements_.size()) return {};
    table.byte_ends.push_back(static_cast<std::uint32_t>(payload_.size()));
  }
  Bytes chunk = begin_packed_chunk(kind_, width_, table);
  chunk.insert(chunk.end(), payload_.begin(), payload_.end());
  return chunk;
}

Bytes pack_raw(std::size_t width, std::span<const std::byte> elements,
               std::span<const std::uint32_t> ends) {
  PackedTable table;
  table.element_ends.assign(ends.begin(), ends.end());
  for (const std::uint32_t end : ends) {
    table.byte_ends.push_back(static_cast<std::uint32_t>(end * width));
  }
  Bytes chunk = begin_packed_chunk(PackedKind::raw, width, table);
  chunk.insert(chunk.end(), elements.begin(), elements.end());
  return chunk;
}

/// Where the fragments end, in the chunk; empty ones are none.
RawVector<std::uint32_t> fragment_ends(std::int64_t first, std::int64_t count,
                                       std::span<const std::int64_t> row_ends) {
  RawVector<std::uint32_t> ends;
  std::int64_t before = first;
  auto row = std::upper_bound(row_ends.begin(), row_ends.end(), first);
  for (; before < first + count && row != row_ends.end(); ++row) {
    const std::int64_t end = std::min(*row, first + count);
    if (end < before) throw input_error("packed rows: the ends of the rows fall");
    if (end > before) ends.push_back(static_cast<std::uint32_t>(end - first));
    before = end;
  }
  if (before < first + count) {
    throw input_error(fmt::format("packed rows: rows end at element {}, expected {} or more",
                                  grouped(before), grouped(first + count)));
  }
  return ends;
}

}  // namespace

Bytes pack_chunk(PackedKind kind, DType dtype, std::span<const std::byte> elements,
                 std::int64_t first, std::span<const std::int64_t> row_ends,
                 const PackedKernels& kernels) {
  const std::size_t width = dtype_size(dtype);
  if (width == 0) throw input_error("packed rows: holds strings, expected numbers");
  // Ends are 32 bits, of bytes too: a row of one element takes up to 27.
  constexpr std::size_t most = std::size_t{1} << 27;
  const std::size_t count = elements.size() / width;
  if (count > most || elements.size() % width != 0) {
    throw input_error(
        fmt::format("packed rows: {} bytes of {} in a chunk, expected at most {} elements",
                    elements.size(), dtype_name(dtype), most));
  }
  const RawVector<std::uint32_t> ends =
      fragment_ends(first, static_cast<std::int64_t>(count), row_ends);
  if (kind != PackedKind::raw && !ends.empty()) {
    Bytes packed = Packer(kind, dtype, elements, ends, kernels).pack();
    if (!packed.empty()) return packed;
  }
  return pack_raw(width, elements, ends);
}

RawVector<std::byte> pack_chunk(PackedKind kind, DType dtype, std::span<const std::byte> elements,
                                std::int64_t first, std::span<const std::int64_t> row_ends) {
  return pack_chunk(kind, dtype, elements, first, row_ends, packed_kernels());
}

}  // namespace cellmill
