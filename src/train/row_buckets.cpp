#include "train/row_buckets.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/stream/packed_rows.hpp"

namespace cellmill {
namespace {

/// In front of the rows that were packed together; their places in the bucket follow.
struct PieceHeader {
  std::uint64_t packed_bytes = 0;
  std::uint64_t nonzeros = 0;
  std::uint64_t rows = 0;
};

void append(RawVector<std::byte>& to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  const std::size_t old = to.size();
  to.resize(old + bytes);
  std::memcpy(to.data() + old, from, bytes);
}

[[noreturn]] void damaged() { throw io_error("a scratch file was damaged while it was in use"); }

PieceHeader header_at(std::span<const std::byte> bytes) {
  PieceHeader header;
  if (bytes.size() < sizeof header) damaged();
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::size_t left = bytes.size() - sizeof header;
  if (header.rows > left / sizeof(std::uint32_t) ||
      header.packed_bytes > left - header.rows * sizeof(std::uint32_t)) {
    damaged();
  }
  return header;
}

/// Rows that were unpacked together, and where they go.
struct Piece {
  std::vector<std::uint32_t> places;
  NarrowRows rows;
};

}  // namespace

std::int64_t RowBuckets::bucket_rows(std::int64_t n_rows, double row_bytes, std::int64_t memory) {
  // Several buckets are in memory at once, each as it comes and in order.
  const std::int64_t good_bytes =
      std::clamp(memory / 16, std::int64_t{1} << 20, std::int64_t{32} << 20);
  const double all = static_cast<double>(n_rows) * row_bytes;
  const std::int64_t most_buckets = std::max<std::int64_t>(memory / 4 / flush_bytes, 1);
  const auto wanted = static_cast<std::int64_t>(all / static_cast<double>(good_bytes)) + 1;
  const std::int64_t buckets = std::clamp<std::int64_t>(wanted, 1, most_buckets);
  return std::max<std::int64_t>((n_rows + buckets - 1) / buckets, 1);
}

RowBuckets::RowBuckets(std::int64_t n_rows, std::int64_t bucket_rows,
                       std::shared_ptr<ScratchFile> scratch)
    : n_rows_(n_rows),
      bucket_rows_(bucket_rows),
      scratch_(std::move(scratch)),
      buckets_(static_cast<std::size_t>((n_rows + bucket_rows - 1) / bucket_rows)) {}

Range RowBuckets::places(std::int64_t bucket) const {
  return {bucket * bucket_rows_, std::min((bucket + 1) * bucket_rows_, n_rows_)};
}

std::vector<RowBuckets::Dealt> RowBuckets::deal(const CsrChunk& rows,
                                                std::span<const std::int64_t> place) const {
  std::vector<std::int64_t> order(place.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return place[static_cast<std::size_t>(a)] / bucket_rows_ <
           place[static_cast<std::size_t>(b)] / bucket_rows_;
  });
  std::vector<Dealt> dealt;
  CsrChunk some;
  some.n_cols = rows.n_cols;
  for (std::size_t at = 0; at < order.size();) {
    const std::int64_t bucket = place[static_cast<std::size_t>(order[at])] / bucket_rows_;
    std::vector<std::uint32_t> places;
    some.indptr.assign(1, 0);
    some.indices.clear();
    some.values.clear();
    for (; at < order.size(); ++at) {
      const auto row = static_cast<std::size_t>(order[at]);
      if (place[row] / bucket_rows_ != bucket) break;
      places.push_back(static_cast<std::uint32_t>(place[row] - bucket * bucket_rows_));
      const auto begin = rows.indptr[row];
      const auto end = rows.indptr[row + 1];
      some.indices.insert(some.indices.end(), rows.indices.begin() + begin,
                          rows.indices.begin() + end);
      some.values.insert(some.values.end(), rows.values.begin() + begin, rows.values.begin() + end);
      some.indptr.push_back(static_cast<std::int64_t>(some.indices.size()));
    }
    const Packed packed = pack_rows(some);
    const PieceHeader header{packed.size(), some.indices.size(), places.size()};
    Dealt& to = dealt.emplace_back();
    to.bucket = bucket;
    to.bytes.reserve(sizeof header + places.size() * sizeof(std::uint32_t) + packed.size());
    append(to.bytes, &header, sizeof header);
    append(to.bytes, places.data(), places.size() * sizeof(std::uint32_t));
    append(to.bytes, packed.data(), packed.size());
  }
  return dealt;
}

void RowBuckets::put(const std::vector<Dealt>& dealt) {
  for (const Dealt& one : dealt) {
    Bucket& bucket = buckets_[static_cast<std::size_t>(one.bucket)];
    append(bucket.buffer, one.bytes.data(), one.bytes.size());
    bucket.bytes += static_cast<std::int64_t>(one.bytes.size());
    bucket.nonzeros += static_cast<std::int64_t>(header_at(one.bytes).nonzeros);
    if (static_cast<std::int64_t>(bucket.buffer.size()) >= flush_bytes) flush(bucket);
  }
}

void RowBuckets::flush(Bucket& bucket) {
  if (bucket.buffer.empty()) return;
  const std::int64_t offset = scratch_->append(bucket.buffer);
  bucket.extents.push_back({offset, static_cast<std::int64_t>(bucket.buffer.size())});
  bucket.buffer.clear();
}

void RowBuckets::flush() {
  for (Bucket& bucket : buckets_) {
    flush(bucket);
    bucket.buffer = {};
  }
}

std::int64_t RowBuckets::packed_bytes(std::int64_t bucket) const {
  return buckets_[static_cast<std::size_t>(bucket)].bytes;
}

std::int64_t RowBuckets::unpacked_bytes(std::int64_t bucket) const {
  // Narrow rows twice, as they come and in order; the wide ones of a piece at a time are small.
  constexpr std::int64_t narrow = sizeof(std::int32_t) + sizeof(float);
  return buckets_[static_cast<std::size_t>(bucket)].nonzeros * 2 * narrow +
         places(bucket).size() * 64;
}

RawVector<std::byte> RowBuckets::fetch(std::int64_t bucket) const {
  const Bucket& from = buckets_[static_cast<std::size_t>(bucket)];
  RawVector<std::byte> bytes(static_cast<std::size_t>(from.bytes));
  std::size_t at = 0;
  for (const Extent& extent : from.extents) {
    const auto size = static_cast<std::size_t>(extent.bytes);
    scratch_->read(extent.offset, std::span(bytes).subspan(at, size));
    at += size;
  }
  return bytes;
}

void RowBuckets::unpack(std::int64_t bucket, std::span<const std::byte> bytes, std::int32_t n_cols,
                        DType index_dtype, DType least, NarrowRows& out) const {
  const auto n_rows = static_cast<std::size_t>(places(bucket).size());
  std::vector<Piece> pieces;
  CsrChunk wide;
  DType value_dtype = least;
  while (!bytes.empty()) {
    const PieceHeader header = header_at(bytes);
    bytes = bytes.subspan(sizeof header);
    Piece& piece = pieces.emplace_back();
    piece.places.resize(header.rows);
    std::memcpy(piece.places.data(), bytes.data(), header.rows * sizeof(std::uint32_t));
    bytes = bytes.subspan(header.rows * sizeof(std::uint32_t));
    unpack_rows(bytes.first(header.packed_bytes), n_cols, wide);
    bytes = bytes.subspan(header.packed_bytes);
    if (wide.n_rows() != static_cast<std::int64_t>(header.rows)) damaged();
    narrow_rows(wide, index_dtype, least, piece.rows);
    value_dtype = wider(value_dtype, piece.rows.value_dtype);
  }

  // Lengths first, then each row to its place.
  out.indptr.assign(n_rows + 1, 0);
  for (const Piece& piece : pieces) {
    for (std::size_t i = 0; i < piece.places.size(); ++i) {
      if (piece.places[i] >= n_rows) damaged();
      out.indptr[piece.places[i] + 1] = piece.rows.indptr[i + 1] - piece.rows.indptr[i];
    }
  }
  std::partial_sum(out.indptr.begin(), out.indptr.end(), out.indptr.begin());
  const auto nnz = static_cast<std::size_t>(out.indptr.back());
  const std::size_t index_bytes = dtype_size(index_dtype);
  const std::size_t value_bytes = dtype_size(value_dtype);
  out.index_dtype = index_dtype;
  out.value_dtype = value_dtype;
  out.indices.resize(nnz * index_bytes);
  out.values.resize(nnz * value_bytes);
  for (const Piece& piece : pieces) {
    const std::size_t from_bytes = dtype_size(piece.rows.value_dtype);
    for (std::size_t i = 0; i < piece.places.size(); ++i) {
      const auto from = static_cast<std::size_t>(piece.rows.indptr[i]);
      const std::size_t count = static_cast<std::size_t>(piece.rows.indptr[i + 1]) - from;
      const auto to = static_cast<std::size_t>(out.indptr[piece.places[i]]);
      if (count == 0) continue;
      std::memcpy(out.indices.data() + to * index_bytes,
                  piece.rows.indices.data() + from * index_bytes, count * index_bytes);
      widen_values(std::span(piece.rows.values).subspan(from * from_bytes, count * from_bytes),
                   piece.rows.value_dtype, value_dtype,
                   std::span(out.values).subspan(to * value_bytes, count * value_bytes));
    }
  }
}

}  // namespace cellmill
