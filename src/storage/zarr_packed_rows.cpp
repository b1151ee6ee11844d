#include "storage/zarr_packed_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

ZarrPackedRows::ZarrPackedRows(const ArrayInfo& info, const ZarrMetadata& metadata)
    : info_(info),
      metadata_(metadata),
      chunk_count_(cellmill::chunk_count(info)),
      checksum_bytes_(checksum_size * metadata.codecs.size()),
      open_(std::all_of(metadata.codecs.begin(), metadata.codecs.end(), [](const ByteCodec& codec) {
        return is_checksum(codec.kind) && !codec.checksum_first;
      })) {}

template <class Body>
decltype(auto) ZarrPackedRows::in_chunk(std::int64_t chunk, Body&& body) const {
  try {
    if (chunk < 0 || chunk >= chunk_count_) {
      throw input_error(fmt::format("there are {}", grouped(chunk_count_)));
    }
    return std::forward<Body>(body)();
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}, chunk {}: {}", info_.location,
                                          metadata_.chunk_place(chunk), error.what()));
  }
}

void ZarrPackedRows::expect_elements(const PackedChunk& packed, std::int64_t chunk) const {
  const std::int64_t length = info_.chunk_shape[0];
  const std::int64_t inside = std::min(length, info_.shape[0] - chunk * length);
  if (packed.elements() >= inside && packed.elements() <= length) return;
  throw input_error(fmt::format("packed rows: {} elements, expected {}", grouped(packed.elements()),
                                grouped(inside)));
}

void ZarrPackedRows::verify(const EncodedChunk& encoded) const {
  in_chunk(encoded.chunk, [&] {
    if (encoded.missing) return;
    Bytes none;
    const PackedChunk packed(
        decode_bytes_view(metadata_.codecs, encoded.bytes, encoded.bytes.size(), none));
    expect_elements(packed, encoded.chunk);
    packed.check_table();
  });
}

void ZarrPackedRows::unpack(const EncodedChunk& encoded, Range part,
                            std::span<std::byte> out) const {
  Bytes held;
  const auto most = static_cast<std::size_t>(metadata_.most_encoded_bytes());
  PackedPlace place{PackedChunk(decode_bytes_view(metadata_.codecs, encoded.bytes, most, held)),
                    part};
  expect_elements(place.chunk, encoded.chunk);
  if (part == Range{0, info_.chunk_shape[0]}) place.chunk.check_table();
  find_part(place);
  unpack_part(place, metadata_.element.dtype, out);
}

void ZarrPackedRows::decode(std::span<const PackedPart> parts, std::span<std::int32_t> out,
                            Landing landing) const {
  decode_parts(parts, out, landing);
}

void ZarrPackedRows::decode(std::span<const PackedPart> parts, std::span<float> out,
                            Landing landing) const {
  decode_parts(parts, out, landing);
}

std::optional<PackedPlace> ZarrPackedRows::open(const PackedPart& part) const {
  return in_chunk(part.chunk->chunk, [&]() -> std::optional<PackedPlace> {
    const std::int64_t length = info_.chunk_shape[0];
    if (part.part.begin < 0 || part.part.end < part.part.begin || part.part.end > length) {
      throw input_error(fmt::format("elements {}–{} asked for, it has {}", grouped(part.part.begin),
                                    grouped(part.part.end), grouped(length)));
    }
    if (part.chunk->missing) return std::nullopt;
    // Without the checksums: verify() looked at them.
    const std::span<const std::byte> bytes = part.chunk->bytes;
    const PackedChunk packed(bytes.first(bytes.size() - std::min(bytes.size(), checksum_bytes_)));
    expect_elements(packed, part.chunk->chunk);
    packed.prefetch_table();
    return PackedPlace{packed, part.part};
  });
}

// Each part goes through steps some parts apart, each on what the one before brought to the caches:
// its chunk's header, its place in the table, its streams. In random order all of them are misses.
template <class T>
void ZarrPackedRows::decode_parts(std::span<const PackedPart> parts, std::span<T> out,
                                  Landing landing) const {
  constexpr std::size_t apart = 2;
  std::array<std::optional<PackedPlace>, 2 * apart + 1> places;
  const auto place = [&](std::size_t i) -> auto& { return places[i % places.size()]; };
  PackedCarry carry;
  UnpackOptions options;
  if (landing == Landing::memory) options.carry = &carry;
  std::size_t at = 0;
  for (std::size_t step = 0; step < parts.size() + 3 * apart; ++step) {
    if (step < parts.size()) __builtin_prefetch(parts[step].chunk->bytes.data());
    if (const std::size_t i = step - apart; i < parts.size()) place(i) = open(parts[i]);
    if (const std::size_t i = step - 2 * apart; i < parts.size() && place(i)) {
      in_chunk(parts[i].chunk->chunk, [&] { find_part(*place(i)); });
    }
    if (const std::size_t i = step - 3 * apart; i < parts.size()) {
      in_chunk(parts[i].chunk->chunk, [&] {
        const auto count = static_cast<std::size_t>(parts[i].part.size());
        if (count > out.size() - at) {
          throw input_error(fmt::format("{} elements wanted, room for {}", count, out.size() - at));
        }
        decode_place(place(i), out.subspan(at, count), options);
        at += count;
      });
    }
  }
  if (landing == Landing::memory) options.kernels->flush(carry);
}

template <class T>
void ZarrPackedRows::decode_place(const std::optional<PackedPlace>& place, std::span<T> out,
                                  const UnpackOptions& options) const {
  const DType dtype = metadata_.element.dtype;
  if (place) return unpack_part<T>(*place, dtype, out, options);
  T value{};
  convert_elements<T>(dtype, metadata_.fill, {&value, 1});
  std::fill(out.begin(), out.end(), value);
}

}  // namespace cellmill
