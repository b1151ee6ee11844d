#include "anndata/views/mtx_to_csr.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "anndata/views/mtx_file.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/ranges.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/line_reader.hpp"

namespace cellmill {

namespace {

constexpr std::int64_t most_in_memory = 64 << 20;  // bytes, where there is no disk
constexpr std::int64_t most_buffered = 16'384;     // entries of one bucket, before they are spilled

class CsrWriter {
 public:
  CsrWriter(const std::shared_ptr<ScratchFile>& file, const std::string& location)
      : data_(file, location + "/data"), indices_(file, location + "/indices") {}

  void append(std::int32_t column, float value) {
    indices_.append(column);
    data_.append(value);
  }

  /// \param counts of entries, a row each
  [[nodiscard]] ScratchCsr finish(const std::shared_ptr<ScratchFile>& file,
                                  const std::string& location, std::span<const std::int64_t> counts,
                                  std::int64_t n_cols) {
    ScratchArrayWriter<std::int64_t> indptr(file, location + "/indptr");
    std::int64_t offset = 0;
    indptr.append(offset);
    for (const std::int64_t count : counts) indptr.append(offset += count);
    return {static_cast<std::int64_t>(counts.size()), n_cols, data_.finish(), indices_.finish(),
            indptr.finish()};
  }

 private:
  ScratchArrayWriter<float> data_;
  ScratchArrayWriter<std::int32_t> indices_;
};

/// Entries whose columns lie in a range that is sorted at once, kept in scratch as they come.
class Bucket {
 public:
  explicit Bucket(Range columns) : columns_(columns) {}

  [[nodiscard]] Range columns() const { return columns_; }

  void append(const MtxEntry& entry, std::int64_t most, ScratchFile& spill) {
    buffer_.push_back(
        {static_cast<std::int32_t>(entry.column - columns_.begin), entry.row, entry.value});
    if (static_cast<std::int64_t>(buffer_.size()) >= most) flush(spill);
  }

  /// Sorts by column, keeping the order within one, and writes. The bucket is empty afterwards.
  void write(std::span<const std::int64_t> counts, ScratchFile& spill, CsrWriter& to) {
    flush(spill);
    std::vector<std::int64_t> next(counts.size());
    std::exclusive_scan(counts.begin(), counts.end(), next.begin(), std::int64_t{0});
    const std::int64_t total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    std::vector<std::pair<std::int32_t, float>> sorted(static_cast<std::size_t>(total));
    for (const Block& block : blocks_) {
      buffer_.resize(block.entries);
      spill.read(block.offset, std::as_writable_bytes(std::span(buffer_)));
      for (const Spilled& entry : buffer_) {
        std::int64_t& place = next[static_cast<std::size_t>(entry.column)];
        sorted[static_cast<std::size_t>(place++)] = {entry.row, entry.value};
      }
    }
    for (const auto& [row, value] : sorted) to.append(row, value);
    buffer_ = {};
    blocks_ = {};
  }

 private:
  struct Spilled {
    std::int32_t column;  ///< counted from the bucket's first
    std::int32_t row;
    float value;
  };
  struct Block {
    std::int64_t offset = 0;
    std::size_t entries = 0;
  };

  void flush(ScratchFile& spill) {
    if (buffer_.empty()) return;
    blocks_.push_back({spill.append(std::as_bytes(std::span(buffer_))), buffer_.size()});
    buffer_.clear();
  }

  Range columns_;
  std::vector<Spilled> buffer_;
  std::vector<Block> blocks_;
};

/// Ranges of columns of at most so many entries each, or of one column.
std::vector<Bucket> make_buckets(std::span<const std::int64_t> counts, std::int64_t most) {
  std::vector<Bucket> buckets;
  const auto columns = static_cast<std::int64_t>(counts.size());
  for (std::int64_t begin = 0; begin < columns;) {
    std::int64_t end = begin;
    std::int64_t entries = 0;
    do {
      entries += counts[static_cast<std::size_t>(end++)];
    } while (end < columns && end - begin < most &&
             entries + counts[static_cast<std::size_t>(end)] <= most);
    buckets.emplace_back(Range{begin, end});
    begin = end;
  }
  return buckets;
}

/// The counts of each column are known: every entry goes to the bucket of its column, then the
/// buckets are sorted one by one.
void sort_into(const std::filesystem::path& mtx, std::span<const std::int64_t> counts,
               std::int64_t sorted_at_once, ScratchFile& spill, CsrWriter& to) {
  std::vector<Bucket> buckets = make_buckets(counts, sorted_at_once);
  const auto count = std::max<std::int64_t>(static_cast<std::int64_t>(buckets.size()), 1);
  const std::int64_t buffered = std::clamp<std::int64_t>(sorted_at_once / count, 1, most_buffered);
  MtxFile file(mtx);
  while (const std::optional<MtxEntry> entry = file.next()) {
    const auto above = std::ranges::upper_bound(buckets, entry->column, {},
                                                [](const Bucket& b) { return b.columns().begin; });
    std::prev(above)->append(*entry, buffered, spill);
  }
  for (Bucket& bucket : buckets) {
    const Range columns = bucket.columns();
    bucket.write(counts.subspan(static_cast<std::size_t>(columns.begin),
                                static_cast<std::size_t>(columns.size())),
                 spill, to);
  }
}

}  // namespace

std::shared_ptr<ScratchFile> scratch_for(const std::filesystem::path& mtx,
                                         const std::filesystem::path& folder, std::int64_t bytes) {
  if (!folder.empty()) return std::make_shared<ScratchFile>(folder);
  std::filesystem::path found = find_scratch_folder(mtx.parent_path(), bytes);
  if (found.empty() && bytes <= most_in_memory) found = std::filesystem::temp_directory_path();
  if (found.empty()) {
    throw io_error(
        fmt::format("{}: no disk has the {} free that it takes to read it; name one by "
                    "TMPDIR",
                    name_with_folder(mtx), human_bytes(bytes)));
  }
  return std::make_shared<ScratchFile>(found);
}

ScratchCsr mtx_to_csr(const std::filesystem::path& mtx, const std::string& location,
                      std::int64_t columns, const MtxToCsrOptions& options) {
  MtxFile file(mtx);
  if (file.columns() != columns) {
    throw input_error(fmt::format("{}: {} columns found, expected {}, as many as barcodes",
                                  name_with_folder(mtx), grouped(file.columns()),
                                  grouped(columns)));
  }
  const std::int64_t bytes = 8 * (file.entries() + columns + 1);
  std::shared_ptr<ScratchFile> scratch = scratch_for(mtx, options.scratch, bytes);
  std::optional<CsrWriter> writer(std::in_place, scratch, location);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(columns));
  std::int64_t last = 0;
  while (const std::optional<MtxEntry> entry = file.next()) {
    ++counts[static_cast<std::size_t>(entry->column)];
    if (entry->column < last) writer.reset();  // go on counting, then sort
    last = entry->column;
    if (writer) writer->append(entry->row, entry->value);
  }
  if (!writer) {
    scratch = scratch_for(mtx, options.scratch, bytes);
    const auto spill = scratch_for(mtx, options.scratch, 12 * file.entries());
    writer.emplace(scratch, location);
    sort_into(mtx, counts, options.sorted_at_once, *spill, *writer);
  }
  return writer->finish(scratch, location, counts, file.rows());
}

}  // namespace cellmill
