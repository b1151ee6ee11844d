#include "cellmill/storage/codec_rates.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "cellmill/core/random.hpp"
#include "storage/codecs.hpp"
#include "storage/packed_rows_unpack.hpp"

namespace cellmill {
namespace {

constexpr std::size_t chunk_elements_of_h5py = 17000;

/// Most are 1 to 3. \param u uniform in [0, 1)
float made_up_count(double u) {
  return std::floor(1.0F / static_cast<float>(1e-4 + std::pow(1.0 - u, 0.6)));
}

/// Chunks of columns and of counts in turn: gaps between columns are geometric, most counts are 1
/// to 3.
std::vector<Bytes> count_chunks(std::size_t count) {
  const CounterRng rng(11, 0);
  std::uint64_t draw = 0;
  std::vector<Bytes> chunks;
  for (std::size_t c = 0; c < count; ++c) {
    std::vector<std::int32_t> columns(chunk_elements_of_h5py);
    std::vector<float> counts(chunk_elements_of_h5py);
    std::int32_t column = 0;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      column += 1 + static_cast<std::int32_t>(-30.0 * std::log1p(-rng.uniform(draw++)));
      if (column >= 62710) column %= 62710;
      columns[i] = column;
      counts[i] = made_up_count(rng.uniform(draw++));
    }
    const std::span<const std::byte> bytes =
        c % 2 == 0 ? std::as_bytes(std::span(columns)) : std::as_bytes(std::span(counts));
    chunks.emplace_back(bytes.begin(), bytes.end());
  }
  return chunks;
}

/// Decoded bytes per second of `decode(i, out)` over all chunks, by all threads, best round.
double best_rate(Arena& arena, std::size_t count, std::size_t most_out,
                 const std::function<std::size_t(std::size_t, std::span<std::byte>)>& decode,
                 double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto workers = static_cast<std::size_t>(arena.threads());
  std::vector<Bytes> out(workers);
  for (Bytes& buffer : out) buffer.assign(most_out, std::byte{0});
  double best = 0;
  const auto begin = Clock::now();
  do {
    std::vector<std::size_t> bytes(workers, 0);
    const auto start = Clock::now();
    arena.for_each(static_cast<std::int64_t>(workers), [&](std::int64_t worker) {
      const auto w = static_cast<std::size_t>(worker);
      for (std::size_t i = w; i < count; i += workers) bytes[w] += decode(i, out[w]);
    });
    const double took = std::chrono::duration<double>(Clock::now() - start).count();
    std::size_t total = 0;
    for (const std::size_t b : bytes) total += b;
    best = std::max(best, static_cast<double>(total) / took);
  } while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
  return best;
}

}  // namespace

double inflate_rate(Arena& arena, double seconds) {
  std::vector<Bytes> encoded;
  for (const Bytes& chunk : count_chunks(256)) encoded.push_back(deflate_zlib(chunk, 4));
  const std::size_t size = chunk_elements_of_h5py * 4;
  return best_rate(
      arena, encoded.size(), size,
      [&](std::size_t i, std::span<std::byte> out) {
        inflate_zlib(encoded[i], out);
        return size;
      },
      seconds);
}

double blosc_rate(Arena& arena, double seconds) {
  std::vector<Bytes> encoded;
  for (const Bytes& chunk : count_chunks(256)) {
    encoded.push_back(blosc_encode(chunk, 4, "lz4", 5, BloscShuffle::byte));
  }
  const std::size_t size = chunk_elements_of_h5py * 4;
  return best_rate(
      arena, encoded.size(), size,
      [&](std::size_t i, std::span<std::byte> out) {
        blosc_decode(encoded[i], out);
        return size;
      },
      seconds);
}

double packed_rows_rate(Arena& arena, double seconds) {
  constexpr std::int64_t row = 1750;
  constexpr std::int64_t batch = 64;
  constexpr std::int64_t chunks = 32;  // more than a core's caches hold
  const CounterRng rng(12, 0);
  std::uint64_t draw = 0;
  std::vector<std::int64_t> ends(batch);
  for (std::int64_t r = 0; r < batch; ++r) ends[static_cast<std::size_t>(r)] = (r + 1) * row;
  std::vector<Bytes> columns;
  std::vector<Bytes> counts;
  for (std::int64_t c = 0; c < chunks; ++c) {
    std::vector<std::int32_t> gene(batch * row);
    std::vector<float> count(gene.size());
    for (std::size_t i = 0; i < gene.size(); ++i) {
      const std::int32_t before = i % row == 0 ? -1 : gene[i - 1];
      gene[i] = before + 1 + static_cast<std::int32_t>(-35.0 * std::log1p(-rng.uniform(draw++)));
      count[i] = made_up_count(rng.uniform(draw++));
    }
    columns.push_back(
        pack_chunk(PackedKind::indices, DType::int32, std::as_bytes(std::span(gene)), 0, ends));
    counts.push_back(
        pack_chunk(PackedKind::counts, DType::float32, std::as_bytes(std::span(count)), 0, ends));
  }
  const auto unpack_row = [&](const Bytes& chunk, std::size_t r, DType dtype, auto out) {
    const auto first = static_cast<std::int64_t>(r) * row;
    PackedPlace place{PackedChunk(chunk), {first, first + row}};
    find_part(place);
    unpack_part(place, dtype, out);
  };
  return best_rate(
      arena, chunks, batch * row * (sizeof(std::int32_t) + sizeof(float)),
      [&](std::size_t i, std::span<std::byte> out) {
        auto* const genes = reinterpret_cast<std::int32_t*>(out.data());
        auto* const values = reinterpret_cast<float*>(out.data() + out.size() / 2);
        for (std::size_t r = 0; r < batch; ++r) {
          const std::size_t from = (i + 7 * r) % chunks;
          const std::size_t at = r * row;
          unpack_row(columns[from], 29 * r % batch, DType::int32, std::span(genes + at, row));
          unpack_row(counts[from], 29 * r % batch, DType::float32, std::span(values + at, row));
        }
        return static_cast<std::size_t>(batch);
      },
      seconds);
}

double copy_rate(Arena& arena, std::int64_t memory, double seconds) {
  constexpr std::size_t block = std::size_t{1} << 20;
  const auto fit = memory / 2 / static_cast<std::int64_t>(block);
  const auto blocks = static_cast<std::size_t>(
      std::clamp<std::int64_t>(fit, 1, 128));  // 128: more than most caches hold
  const Bytes from(block * blocks, std::byte{1});
  Bytes to(block * blocks, std::byte{2});
  return best_rate(
      arena, blocks, 1,
      [&](std::size_t i, std::span<std::byte>) {
        std::memcpy(to.data() + i * block, from.data() + i * block, block);
        return block;
      },
      seconds);
}

double decode_rate(Arena& arena, const Array& array, std::int64_t most_bytes, double seconds) {
  const ArrayInfo& info = array.info();
  const auto chunk_bytes = static_cast<std::size_t>(chunk_elements(info)) * dtype_size(info.dtype);
  const std::int64_t all = chunk_count(info);
  const std::int64_t some = std::clamp<std::int64_t>(
      most_bytes / static_cast<std::int64_t>(std::max<std::size_t>(chunk_bytes, 1)), 1, all);
  if (all == 0) return 0;
  std::vector<EncodedChunk> encoded;
  for (std::int64_t i = 0; i < some; ++i) encoded.push_back(array.fetch(i * all / some));
  return best_rate(
      arena, encoded.size(), chunk_bytes,
      [&](std::size_t i, std::span<std::byte> out) {
        array.decode(encoded[i], out);
        return chunk_bytes;
      },
      seconds);
}

void ChunkSample::add(std::unique_ptr<Array> array, double share) {
  const ArrayInfo& info = array->info();
  const std::int64_t all = chunk_count(info);
  if (all == 0) return;
  const auto some =
      std::clamp<std::int64_t>(std::llround(share * static_cast<double>(all)), 1, all);
  const std::size_t bytes = static_cast<std::size_t>(chunk_elements(info)) * dtype_size(info.dtype);
  for (std::int64_t i = 0; i < some; ++i) {
    chunks_.emplace_back(array.get(), array->fetch(i * all / some));
  }
  decoded_bytes_ += some * static_cast<std::int64_t>(bytes);
  largest_ = std::max(largest_, bytes);
  arrays_.push_back(std::move(array));
}

void ChunkSample::decode(Arena& arena) const {
  std::vector<Bytes> out(static_cast<std::size_t>(arena.threads()));
  for (Bytes& buffer : out) buffer.assign(largest_, std::byte{});
  std::atomic<std::size_t> next{0};
  arena.for_each(arena.threads(), [&](std::int64_t worker) {
    const std::span<std::byte> room = out[static_cast<std::size_t>(worker)];
    for (std::size_t i = next++; i < chunks_.size(); i = next++) {
      const auto& [array, chunk] = chunks_[i];
      const ArrayInfo& info = array->info();
      array->decode(chunk, room.first(static_cast<std::size_t>(chunk_elements(info)) *
                                      dtype_size(info.dtype)));
    }
  });
}

}  // namespace cellmill
