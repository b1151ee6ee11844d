#include "cellmill/train/shard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "cellmill/anndata/fingerprint.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/stop.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/core/version.hpp"
#include "cellmill/storage/scratch_file.hpp"
#include "cellmill/stream/packed_rows.hpp"
#include "train/shard_journal.hpp"
#include "train/shard_obs.hpp"
#include "train/shard_pass.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

void check_stop() {
  if (stop_requested()) throw stopped_error("stopped on request");
}

void check_options(const ShardOptions& options) {
  if (options.output.extension() != ".zarr") {
    throw usage_error(options.output.string() + ": the output's name must end in .zarr");
  }
  if (options.chunk_rows < 1) throw usage_error("--chunk-rows must be at least 1");
  if (options.shard_rows < options.chunk_rows) {
    throw usage_error(fmt::format("--shard-rows {}: a shard has at least one chunk of {} rows",
                                  options.shard_rows, options.chunk_rows));
  }
  if (options.label.empty()) throw usage_error("--label must not be empty");
}

InputChoice choice_of(const ShardOptions& options) {
  return {options.inputs, options.matrix, options.filter,
          options.join,   options.genes,  options.gene_key};
}

/// Whether obs can have a label that tells the inputs apart.
void check_label(const ShardOptions& options, const InputRows& rows) {
  std::set<std::string> seen;
  for (std::int32_t source = 0; source < rows.data().n_sources(); ++source) {
    const std::string& name = rows.names()[static_cast<std::size_t>(source)];
    if (!seen.insert(name).second) {
      throw input_error(fmt::format(
          "two inputs are named {}: the file names must differ, because obs['{}'] holds them", name,
          options.label));
    }
    const DataFrame& obs = rows.data().source(source).obs();
    if (obs.has(options.label)) {
      log_warning(fmt::format(
          "{}: the column '{}' is replaced by the input's name; choose another with --label",
          obs.location(), options.label));
    }
  }
}

std::optional<KeyedPermutation> shuffle_of(const ShardOptions& options, const InputRows& rows) {
  if (options.order == RowOrder::as_read) return std::nullopt;
  constexpr std::uint64_t stream = 0x73'68'61'72'64;  // "shard"
  return KeyedPermutation(static_cast<std::uint64_t>(rows.n_cells()), options.seed, stream);
}

StoreLayout make_layout(const ShardOptions& options, const InputRows& rows) {
  constexpr std::int64_t most_chunk_elements = std::int64_t{1} << 27;  // what packed rows take
  StoreLayout layout;
  layout.codec = options.codec;
  layout.index_dtype = index_dtype_for(rows.n_genes());
  const double row_elements =
      static_cast<double>(expected_nonzeros(rows)) / static_cast<double>(rows.n_cells());
  const double elements = static_cast<double>(options.chunk_rows) * row_elements;
  if (elements > static_cast<double>(most_chunk_elements)) {
    throw usage_error(fmt::format(
        "--chunk-rows {}: chunks would have {} values, at most {} are possible", options.chunk_rows,
        grouped(static_cast<std::int64_t>(elements)), grouped(most_chunk_elements)));
  }
  layout.chunk_elements = std::max<std::int64_t>(std::llround(elements), 1);
  // A small store's one shard needs no index of chunks that it can't have.
  const std::int64_t chunks = (rows.n_cells() + options.chunk_rows - 1) / options.chunk_rows;
  layout.shard_chunks = std::min(options.shard_rows / options.chunk_rows, chunks + 1);
  return layout;
}

nlohmann::json store_json(const ShardOptions& options) {
  nlohmann::json json = {{"version", 1},
                         {"codec", store_codec_name(options.codec)},
                         {"block_rows", options.chunk_rows},
                         {"shuffled", options.order == RowOrder::shuffled}};
  if (options.order == RowOrder::shuffled) json["seed"] = options.seed;
  return json;
}

/// A store on its way: what of it is there, and how it ends.
class ShardJob {
 public:
  ShardJob(const ShardOptions& options, const InputRows& rows, std::string fingerprint,
           Arena& arena)
      : options_(options),
        rows_(rows),
        arena_(arena),
        budget_(buffer_limit(options.memory)),
        output_(options.output, options.if_exists,
                options.resume == Resume::yes ? Leftover::keep : Leftover::remove),
        journal_(output_.partial()) {
    entry_.fingerprint = std::move(fingerprint);
  }

  void run(ShardSummary& summary);

  /// Whether there is something to go on with, and how far it is.
  [[nodiscard]] bool has_shards() const { return entry_.progress.shards > 0; }
  [[nodiscard]] std::string how_far() const {
    return fmt::format("{} of {} cells are written, --resume goes on from there",
                       grouped(entry_.progress.rows), grouped(rows_.n_cells()));
  }
  void keep() { output_.keep_partial(); }

 private:
  void find_earlier();
  void create_store();
  void write_cells(MatrixWriter& matrix);
  /// Of a segment.
  [[nodiscard]] std::int64_t most_nonzeros() const;
  [[nodiscard]] std::shared_ptr<ScratchFile> open_scratch() const;
  void write_provenance();

  const ShardOptions& options_;
  const InputRows& rows_;
  Arena& arena_;
  MemoryBudget budget_;
  AtomicOutput output_;
  ShardJournal journal_;
  ShardJournal::Entry entry_;
  std::unique_ptr<Group> root_;
};

void ShardJob::run(ShardSummary& summary) {
  find_earlier();
  if (has_shards()) {
    output_.keep_partial();  // whatever happens now
    root_ = open_zarr(output_.partial(), OpenMode::update);
    log_info(fmt::format("{} of {} cells were written by an earlier run",
                         grouped(entry_.progress.rows), grouped(rows_.n_cells())));
  } else {
    create_store();
  }
  summary.resumed_cells = entry_.progress.rows;
  {
    MatrixWriter matrix(*root_, output_.partial(), entry_.layout, arena_, entry_.progress,
                        [&](const StoreProgress& progress) {
                          entry_.progress = progress;
                          journal_.write(entry_);
                          log_debug(fmt::format("{} shards are whole", progress.shards));
                        });
    matrix.verify(check_stop);
    write_cells(matrix);
    matrix.finish(check_stop);
    summary.nonzeros = matrix.nonzeros();
    summary.value_dtype = dtype_name(matrix.value_dtype());
    summary.shards = matrix.shards();
    summary.bytes = matrix.bytes();
    write_provenance();
    journal_.remove();
    matrix.remove_notes();
  }
  summary.index_dtype = dtype_name(entry_.layout.index_dtype);
  summary.chunk_elements = entry_.layout.chunk_elements;
  consolidate_zarr(output_.partial());
  output_.commit();
}

void ShardJob::find_earlier() {
  if (options_.resume == Resume::no) return;
  std::optional<ShardJournal::Entry> found = journal_.read();
  if (!found) return;
  const std::string difference = fingerprint_difference(found->fingerprint, entry_.fingerprint);
  if (!difference.empty()) {
    output_.keep_partial();
    throw input_error(
        fmt::format("{}: an earlier run was made of something else, so --resume can't go on with "
                    "it: {}; without --resume it is replaced",
                    output_.partial().string(), difference));
  }
  entry_ = *std::move(found);
  entry_.layout.codec = options_.codec;
}

void ShardJob::create_store() {
  std::error_code ignored;
  fs::remove_all(output_.partial(), ignored);  // an earlier run that wrote no shard
  entry_.layout = make_layout(options_, rows_);
  root_ = open_zarr(output_.partial(), OpenMode::create);
  write_anndata_root(*root_);
  write_index(*create_dataframe(*root_, "var", {}), Strings(rows_.genes().names));
  (void)create_csr_matrix(*root_, "X", rows_.n_cells(), rows_.n_genes());
  std::optional<KeyedPermutation> shuffle = shuffle_of(options_, rows_);
  ShardObs(rows_, options_, shuffle ? &*shuffle : nullptr)
      .write(*root_, budget_.limit() / 2, arena_, check_stop);
  trim_heap();
}

std::int64_t ShardJob::most_nonzeros() const {
  std::int64_t most = 0;
  for (const Segment& segment : rows_.segments()) most = std::max(most, segment.nnz);
  return most;
}

std::shared_ptr<ScratchFile> ShardJob::open_scratch() const {
  if (options_.scratch != "auto") return std::make_shared<ScratchFile>(options_.scratch);
  const auto wanted = static_cast<std::int64_t>(static_cast<double>(expected_nonzeros(rows_)) *
                                                packed_bytes_per_nonzero) +
                      rows_.n_cells() * 8;
  const fs::path folder = find_scratch_folder(options_.output.parent_path(), wanted);
  if (folder.empty()) {
    throw io_error(fmt::format(
        "no local disk with {} free was found to shuffle on; --scratch DIR names a folder",
        human_bytes(wanted)));
  }
  return std::make_shared<ScratchFile>(folder);
}

void ShardJob::write_cells(MatrixWriter& matrix) {
  const InputPass context{rows_, {arena_, budget_}, check_stop};
  const auto element_bytes =
      static_cast<std::int64_t>(dtype_size(entry_.layout.index_dtype) + sizeof(float));
  // The rows of one item wait to fill chunks, and some encoded chunks to be written.
  const std::int64_t encoded = entry_.layout.chunk_elements * element_bytes * 8 * arena_.threads();
  const std::optional<KeyedPermutation> shuffle = shuffle_of(options_, rows_);
  if (!shuffle) {
    const auto standing =
        budget_.reserve(most_nonzeros() * element_bytes + encoded, "rows being written");
    return write_in_order(context, matrix);
  }
  const double row_bytes = static_cast<double>(expected_nonzeros(rows_) * element_bytes) /
                           static_cast<double>(rows_.n_cells());
  const std::int64_t bucket_rows =
      RowBuckets::bucket_rows(rows_.n_cells(), row_bytes, budget_.limit());
  const auto bucket_bytes = static_cast<std::int64_t>(static_cast<double>(bucket_rows) * row_bytes);
  const auto standing = budget_.reserve(bucket_bytes + encoded, "rows being written");
  RowBuckets buckets(rows_.n_cells(), bucket_rows, open_scratch());
  const auto buffers =
      budget_.reserve(buckets.count() * RowBuckets::buffer_bytes(), "buffers of the shuffle");
  deal_rows(context, *shuffle, buckets);
  trim_heap();
  write_buckets(context, buckets, matrix);
}

void ShardJob::write_provenance() {
  std::error_code ignored;  // an interrupted run may have come so far
  fs::remove_all(output_.partial() / "uns" / "cellmill", ignored);
  nlohmann::json json = {{"version", version()},
                         {"options", shard_options_json(options_)},
                         {"store", store_json(options_)},
                         {"fingerprint", entry_.fingerprint}};
  for (const auto& input : options_.inputs) json["inputs"].push_back(input.string());
  write_json(*root_->group("uns"), "cellmill", json);
}

}  // namespace

ShardSummary shard(const ShardOptions& options, Arena& arena) {
  const auto start = std::chrono::steady_clock::now();
  check_options(options);
  InputRows rows(choice_of(options), arena, check_stop);
  check_label(options, rows);
  std::string fingerprint = shard_fingerprint(options, rows);
  ShardSummary summary;
  summary.output = options.output;
  summary.cells_read = rows.data().n_obs();
  summary.n_cells = rows.n_cells();
  summary.n_genes = rows.n_genes();
  if (options.resume == Resume::yes && is_finished(options.output, fingerprint)) {
    log_info(options.output.string() + ": is there already, of the same inputs and options");
    summary.resumed_cells = summary.n_cells;
    return summary;
  }
  ShardJob job(options, rows, std::move(fingerprint), arena);
  rows.prepare(find_scratch_folder(options.output.parent_path(), rows.stored_nonzeros() * 8),
               arena);
  try {
    job.run(summary);
  } catch (const Error& error) {
    const bool stopped = error.kind() == Error::Kind::stopped;
    if (!job.has_shards() || (!stopped && error.kind() != Error::Kind::io)) throw;
    job.keep();
    throw Error(stopped ? Error::Kind::resumable : error.kind(),
                std::string(error.what()) + "; " + job.how_far());
  }
  summary.peak_memory = peak_rss();
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace cellmill
