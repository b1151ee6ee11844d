#include "storage/hdf5_filters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "cellmill/core/raw_vector.hpp"
#include "storage/codecs.hpp"

namespace cellmill::hdf5 {

namespace {

constexpr std::size_t checksum_bytes = 4;

std::string filter_name(int id, const char* stored) {
  switch (id) {
    case H5Z_FILTER_DEFLATE:
      return "gzip";
    case H5Z_FILTER_SHUFFLE:
      return "shuffle";
    case H5Z_FILTER_FLETCHER32:
      return "fletcher32";
    case H5Z_FILTER_SZIP:
      return "szip";
    case H5Z_FILTER_NBIT:
      return "nbit";
    case H5Z_FILTER_SCALEOFFSET:
      return "scaleoffset";
    case lzf_filter:
      return "lzf";
    case blosc_filter:
      return "blosc";
    case lz4_filter:
      return "lz4";
    case zstd_filter:
      return "zstd";
    default:
      return *stored != '\0' ? stored : fmt::format("filter {}", id);
  }
}

std::uint64_t big_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (const std::byte byte : bytes) value = value << 8U | std::to_integer<std::uint64_t>(byte);
  return value;
}

/// Fletcher's checksum over 16-bit big-endian words, as HDF5's file format specification has it.
std::uint32_t fletcher32(std::span<const std::byte> bytes) {
  std::uint64_t sum1 = 0;
  std::uint64_t sum2 = 0;
  std::size_t at = 0;
  const std::size_t even = bytes.size() / 2 * 2;
  while (at < even) {
    // So many words can be added up before 64 bits overflow that reducing every 2^15 is ample.
    for (const std::size_t stop = std::min(even, at + 65536); at < stop; at += 2) {
      sum1 += std::to_integer<unsigned>(bytes[at]) << 8U | std::to_integer<unsigned>(bytes[at + 1]);
      sum2 += sum1;
    }
    sum1 %= 65535;
    sum2 %= 65535;
  }
  if (even < bytes.size()) {
    sum1 = (sum1 + (std::to_integer<unsigned>(bytes[even]) << 8U)) % 65535;
    sum2 = (sum2 + sum1) % 65535;
  }
  return static_cast<std::uint32_t>(sum2 << 16U | sum1);
}

/// The bytes without the checksum that follows them. HDF5 leaves zero sums as 65535 where its
/// folding ends so: both stand for the same remainder.
std::span<const std::byte> verified(std::span<const std::byte> bytes) {
  if (bytes.size() < checksum_bytes) throw input_error("too short for its fletcher32 checksum");
  const auto content = bytes.first(bytes.size() - checksum_bytes);
  std::uint32_t stored = 0;
  std::memcpy(&stored, bytes.data() + content.size(), checksum_bytes);
  const auto reduced = [](std::uint32_t sums) {
    return (sums >> 16U) % 65535U << 16U | (sums & 0xFFFFU) % 65535U;
  };
  const std::uint32_t found = fletcher32(content);
  if (reduced(stored) != found) {
    throw input_error(
        fmt::format("fletcher32 checksum {:08x} found, expected {:08x}", found, stored));
  }
  return content;
}

/// The HDF5 filter's framing of LZ4: total bytes (64 bits), bytes a block (32), then blocks, each
/// behind its length (32), all big-endian; a block that didn't shrink is stored as it is.
void decode_lz4_frames(std::span<const std::byte> in, std::span<std::byte> out) {
  const auto take = [&](std::size_t count) {
    if (in.size() < count) throw input_error("lz4: the chunk ends early");
    const auto taken = in.first(count);
    in = in.subspan(count);
    return taken;
  };
  if (const std::uint64_t total = big_endian(take(8)); total != out.size()) {
    throw input_error(fmt::format("lz4: {} bytes found, expected {}", total, out.size()));
  }
  const std::uint64_t block_bytes = big_endian(take(4));
  if (block_bytes == 0) throw input_error("lz4: blocks of no bytes");
  while (!out.empty()) {
    const auto block = out.first(std::min<std::size_t>(out.size(), block_bytes));
    const auto stored = take(big_endian(take(4)));
    if (stored.size() == block.size()) {
      std::copy(stored.begin(), stored.end(), block.begin());
    } else {
      lz4_block_decode(stored, block);
    }
    out = out.subspan(block.size());
  }
}

/// Undoes one filter that changes bytes; `out` has the size that they had before it.
void undo_one(const Filter& filter, std::span<const std::byte> in, std::span<std::byte> out) {
  switch (filter.id) {
    case H5Z_FILTER_DEFLATE:
      return inflate_zlib(in, out);
    case H5Z_FILTER_SHUFFLE: {
      if (in.size() != out.size()) {
        throw input_error(fmt::format("{} bytes found, expected {}", in.size(), out.size()));
      }
      const unsigned element = filter.parameters.empty() ? 1 : filter.parameters[0];
      return unshuffle(in, out, std::max(element, 1U));
    }
    case lzf_filter:
      return lzf_decode(in, out);
    case blosc_filter:
      return blosc_decode(in, out);
    case lz4_filter:
      return decode_lz4_frames(in, out);
    case zstd_filter:
      return zstd_decode(in, out);
    default:
      throw unsupported(filter);
  }
}

/// Bytes between two filters, kept by the thread so that their pages are touched once.
std::span<std::byte> scratch(std::size_t which, std::size_t bytes) {
  thread_local std::array<RawVector<std::byte>, 2> buffers;
  RawVector<std::byte>& buffer = buffers[which];
  if (buffer.size() < bytes) buffer.resize(bytes);
  return std::span(buffer).first(bytes);
}

}  // namespace

Pipeline read_pipeline(hid_t creation_properties) {
  Pipeline pipeline;
  const int count = H5Pget_nfilters(creation_properties);
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0;
    unsigned config = 0;
    std::size_t parameters = 0;
    std::array<char, 64> name{};
    // First how many parameters there are, then the parameters.
    (void)H5Pget_filter2(creation_properties, static_cast<unsigned>(i), &flags, &parameters,
                         nullptr, 0, nullptr, &config);
    Filter filter;
    filter.parameters.resize(parameters);
    filter.id =
        check(H5Pget_filter2(creation_properties, static_cast<unsigned>(i), &flags, &parameters,
                             filter.parameters.data(), name.size() - 1, name.data(), &config),
              Error::Kind::input, "its filters");
    filter.name = filter_name(filter.id, name.data());
    pipeline.push_back(std::move(filter));
  }
  return pipeline;
}

std::string describe(const Pipeline& pipeline) {
  std::string text;
  for (const Filter& filter : pipeline) {
    if (!text.empty()) text += '+';
    text += filter.name;
    const bool has_level = filter.id == H5Z_FILTER_DEFLATE || filter.id == zstd_filter;
    if (has_level && !filter.parameters.empty()) text += fmt::format("({})", filter.parameters[0]);
  }
  return text.empty() ? "none" : text;
}

Error unsupported(const Filter& filter) {
  return input_error(
      fmt::format("the HDF5 filter {} ({}) is not supported", filter.name, filter.id));
}

bool undo_part(const Pipeline& pipeline, std::uint32_t mask, std::span<const std::byte> encoded,
               std::size_t whole, std::size_t filled, std::size_t begin,
               std::span<std::byte> part) {
  if (part.empty()) return true;
  const Filter* only = nullptr;
  for (std::size_t i = 0; i < pipeline.size(); ++i) {
    if ((mask >> i & 1U) != 0) continue;
    if (only != nullptr) return false;
    only = &pipeline[i];
  }
  if (only == nullptr) {
    if (encoded.size() != whole) {
      throw input_error(fmt::format("{} bytes found, expected {}", encoded.size(), whole));
    }
    std::memcpy(part.data(), encoded.data() + begin, part.size());
    return true;
  }
  if (only->id == blosc_filter) {
    blosc_decode_part(encoded, whole, begin, part);
    return true;
  }
  const std::size_t end = begin + part.size();
  if (end >= filled || (only->id != H5Z_FILTER_DEFLATE && only->id != lzf_filter)) return false;
  const std::span<std::byte> prefix = begin == 0 ? part : scratch(0, end);
  if (only->id == lzf_filter) {
    lzf_decode_prefix(encoded, prefix);
  } else {
    inflate_zlib_prefix(encoded, prefix, whole);
  }
  if (begin > 0) std::memcpy(part.data(), prefix.data() + begin, part.size());
  return true;
}

void undo(const Pipeline& pipeline, std::uint32_t mask, std::span<const std::byte> encoded,
          std::span<std::byte> decoded) {
  // Bytes before each filter, as far as the chunk's size tells: a checksum adds four, and behind a
  // compressor nothing is known.
  std::vector<std::optional<std::size_t>> size_before;
  std::optional<std::size_t> size = decoded.size();
  for (std::size_t i = 0; i < pipeline.size(); ++i) {
    size_before.push_back(size);
    if ((mask >> i & 1U) != 0) continue;
    if (pipeline[i].id == H5Z_FILTER_FLETCHER32) {
      if (size) *size += checksum_bytes;
    } else if (pipeline[i].id != H5Z_FILTER_SHUFFLE) {
      size.reset();
    }
  }
  std::span<const std::byte> bytes = encoded;
  std::size_t buffer = 0;
  for (std::size_t i = pipeline.size(); i-- > 0;) {
    const Filter& filter = pipeline[i];
    if ((mask >> i & 1U) != 0) continue;
    if (filter.id == H5Z_FILTER_FLETCHER32) {
      bytes = verified(bytes);
      continue;
    }
    const bool keeps_size = filter.id == H5Z_FILTER_SHUFFLE;
    if (!size_before[i] && !keeps_size) {
      throw input_error(
          fmt::format("the filters {} compress twice, which is not supported", describe(pipeline)));
    }
    const std::size_t wanted = size_before[i].value_or(bytes.size());
    // The last step goes straight where the caller wants it, if only steps that are skipped follow.
    const bool last =
        std::none_of(pipeline.begin(), pipeline.begin() + static_cast<std::ptrdiff_t>(i),
                     [&](const Filter& f) { return (mask >> (&f - pipeline.data()) & 1U) == 0; });
    const std::span<std::byte> to = last ? decoded : scratch(buffer, wanted);
    undo_one(filter, bytes, to);
    buffer = 1 - buffer;
    bytes = to;
  }
  if (bytes.size() != decoded.size()) {
    throw input_error(fmt::format("{} bytes found, expected {}", bytes.size(), decoded.size()));
  }
  if (bytes.data() != decoded.data()) std::copy(bytes.begin(), bytes.end(), decoded.begin());
}

}  // namespace cellmill::hdf5
