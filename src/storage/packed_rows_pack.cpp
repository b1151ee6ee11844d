#include "storage/packed_rows_pack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <concepts>
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

/// Values of so many elements decide how all of a chunk are split.
constexpr std::int64_t sample_elements = 4096;

/// The elements as whole numbers of 32 bits; whether they are all that.
template <class T>
bool as_integers(std::span<const T> elements, std::span<std::uint32_t> out) {
  bool whole = true;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const T element = elements[i];
    const bool inside = element >= T{0} && element <= T(std::numeric_limits<std::uint32_t>::max());
    out[i] = static_cast<std::uint32_t>(inside ? element : T{0});
    // A negative zero is none of ours.
    whole = whole && inside && static_cast<T>(out[i]) == element && !std::signbit(element);
  }
  return whole;
}
template <std::integral T>
bool as_integers(std::span<const T> elements, std::span<std::uint32_t> out) {
  std::uint32_t other = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint32_t>(elements[i]);  // NOLINT(bugprone-signed-char-misuse)
    if constexpr (sizeof(T) == 8) {
      other |= static_cast<std::uint32_t>(static_cast<std::uint64_t>(elements[i]) >> 32);
    } else if constexpr (std::is_signed_v<T>) {
      other |= out[i] >> 31;
    }
  }
  return other == 0;
}

/// What packing a chunk needs, kept by the thread.
struct Scratch {
  RawVector<std::uint32_t> integers;
  RawVector<std::uint32_t> values;
  RawVector<std::uint32_t> sample;
  RawVector<std::uint8_t> streams[6];  ///< low, three levels, bytes, large
  Bytes payload;
};

template <class T>
void make_room(RawVector<T>& buffer, std::size_t count) {
  if (buffer.size() < count) buffer.resize(count);
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
  bool choose();
  void append();
  void append_bytes(const void* from, std::size_t count);

  static Scratch& scratch() {
    thread_local Scratch kept;
    return kept;
  }

  PackedKind kind_;
  DType dtype_;
  std::size_t width_;
  std::span<const std::byte> elements_;
  std::span<const std::uint32_t> ends_;
  const PackedKernels& kernels_;
  Scratch& scratch_ = scratch();
  PackedWidths widths_;
  std::uint32_t base_ = 0;
  std::span<std::uint32_t> values_;  ///< of the fragment at hand
  std::size_t payload_bytes_ = 0;
};

bool Packer::take_values(Range fragment) {
  const auto n = static_cast<std::uint32_t>(fragment.size());
  make_room(scratch_.integers, n);
  make_room(scratch_.values, n);
  std::uint32_t* const integers = scratch_.integers.data();
  const std::byte* const from =
      elements_.data() + static_cast<std::size_t>(fragment.begin) * width_;
  const bool whole = visit_dtype(dtype_, [&]<class T>() {
    const auto* const elements = reinterpret_cast<const T*>(from);
    if (kind_ == PackedKind::indices && !std::is_integral_v<T>) return false;
    if constexpr (std::is_same_v<T, float>) return kernels_.float_integers(elements, n, integers);
    return as_integers<T>({elements, n}, {integers, n});
  });
  if (!whole) return false;
  if (kind_ == PackedKind::counts) {
    base_ = kernels_.less_least(integers, n);
    values_ = {integers, n};
    return true;
  }
  base_ = integers[0];
  values_ = {scratch_.values.data(), n};
  return kernels_.gaps(integers, n, values_.data());
}

/// Decides how all values are split by some of them: pieces of fragments all over the chunk, from
/// another place in each, because neither rows nor their parts are alike.
bool Packer::choose() {
  constexpr std::size_t pieces = 16;
  constexpr std::int64_t most = sample_elements / pieces;
  RawVector<std::uint32_t>& sample = scratch_.sample;
  sample.clear();
  const std::size_t step = (ends_.size() + pieces - 1) / pieces;
  std::int64_t turn = 0;
  for (std::size_t i = 0; i < ends_.size(); i += step) {
    const Range all = fragment(i);
    const std::int64_t size = std::min(all.size(), most);
    const std::int64_t begin = all.begin + (all.size() - size) * (turn++ % 4) / 3;
    if (!take_values({begin, begin + size})) return false;
    sample.insert(sample.end(), values_.begin(), values_.end());
  }
  widths_ = choose_widths(sample);
  return true;
}

void Packer::append_bytes(const void* from, std::size_t count) {
  std::memcpy(scratch_.payload.data() + payload_bytes_, from, count);
  payload_bytes_ += count;
}

void Packer::append() {
  const std::size_t n = values_.size();
  constexpr std::size_t slack = 64;
  for (RawVector<std::uint8_t>& stream : scratch_.streams) {
    make_room(stream, (&stream == &scratch_.streams[5] ? 4 : 1) * n + slack);
  }
  PackedSplit split{};
  split.low_bits = widths_.low;
  split.low = scratch_.streams[0].data();
  for (std::size_t i = 0; i < 3; ++i) {
    split.widths[i] = widths_.levels[i];
    split.level[i] = scratch_.streams[i + 1].data();
  }
  split.bytes = scratch_.streams[4].data();
  split.large = scratch_.streams[5].data();
  const auto count = static_cast<std::uint32_t>(n);
  kernels_.split(values_.data(), count, split);

  const std::uint32_t(&escapes)[4] = split.escapes;
  std::byte header[most_fragment_header];
  append_bytes(header, write_fragment_header(widths_, base_, count,
                                             {escapes[0], escapes[1], escapes[2]}, header));
  const std::uint64_t counts[6] = {n, n, escapes[0], escapes[1], escapes[2], escapes[3]};
  const std::uint32_t bits[6] = {
      split.low_bits, split.widths[0], split.widths[1], split.widths[2], 8, 32};
  for (std::size_t i = 0; i < 6; ++i) {
    append_bytes(scratch_.streams[i].data(), field_bytes(counts[i], bits[i]));
  }
}

Bytes Packer::pack() {
  if (!choose()) return {};
  PackedTable table;
  table.element_ends.assign(ends_.begin(), ends_.end());
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    if (!take_values(fragment(i))) return {};
    make_room(scratch_.payload, payload_bytes_ + most_fragment_bytes(values_.size()));
    append();
    if (payload_bytes_ > elements_.size()) return {};
    table.byte_ends.push_back(static_cast<std::uint32_t>(payload_bytes_));
  }
  Bytes chunk = begin_packed_chunk(kind_, width_, table);
  chunk.insert(chunk.end(), scratch_.payload.begin(),
               scratch_.payload.begin() + static_cast<std::ptrdiff_t>(payload_bytes_));
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
