#include "train/window_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Fetched reads whose buffers are kept for the next ones.
constexpr std::size_t most_fetched = 4'096;

}  // namespace

WindowReader::WindowReader(std::shared_ptr<const Dataset> data, ReadOptions options, Arena& arena,
                           std::size_t pooled_batches)
    : data_(std::move(data)),
      options_(std::move(options)),
      batches_(std::make_shared<SharedPool<Batch>>(pooled_batches)),
      fetched_(std::make_shared<SharedPool<FetchedRows>>(most_fetched)) {
  if (options_.matrices.empty()) throw usage_error("no matrix to read; expected X or a layer");
  for (const std::string& name : options_.matrices) {
    matrices_.push_back(std::make_unique<JoinedMatrix>(*data_, name, options_, arena));
  }
  if (options_.tokens) {
    if (options_.layout == BatchLayout::dense) throw usage_error("tokens are no dense matrix");
    if (options_.transform.any() && std::holds_alternative<GeneformerOptions>(*options_.tokens)) {
      throw usage_error("Geneformer takes raw counts; expected no transform");
    }
    tokenizer_ = make_tokenizer(*options_.tokens, matrices_.front()->genes());
  }
  if (options_.selection) check_selection();
  for (const std::string& column : options_.obs) {
    obs_.push_back(data_->obs(column));
    if (const auto fixed = options_.obs_levels.find(column); fixed != options_.obs_levels.end()) {
      obs_.back() = std::make_shared<const ObsValues>(obs_.back()->with_levels(fixed->second));
    }
  }
  for (const std::string& name : options_.obsm) {
    auto& arrays = obsm_.emplace_back();
    std::int64_t columns = -1;
    for (std::int32_t number = 0; number < data_->n_sources(); ++number) {
      const AnnData& source = data_->source(number);
      arrays.push_back(source.root().array("obsm/" + name));
      const ArrayInfo& info = arrays.back()->info();
      if (info.shape.size() != 2 || info.shape[0] != source.n_obs() ||
          (columns >= 0 && info.shape[1] != columns)) {
        throw input_error(fmt::format("{}: expected {} rows of {} numbers", info.location,
                                      grouped(source.n_obs()),
                                      columns < 0 ? std::string("some") : grouped(columns)));
      }
      columns = info.shape[1];
    }
    obsm_columns_.push_back(std::max<std::int64_t>(columns, 0));
  }
}

void WindowReader::check_selection() const {
  if (tokenizer_) throw usage_error("a selection of genes does not go with tokens");
  if (options_.selection->count < 1) {
    throw usage_error(fmt::format("a selection of {} genes found, expected 1 or more",
                                  options_.selection->count));
  }
  for (std::size_t m = 1; m < matrices_.size(); ++m) {
    if (matrices_[m]->genes() == matrices_.front()->genes()) continue;
    throw usage_error(fmt::format("{} has other genes than {}, so they can't be selected together",
                                  options_.matrices[m], options_.matrices.front()));
  }
}

const RowTransform& WindowReader::transform(std::size_t m) const {
  static const RowTransform none;
  return m == 0 ? options_.transform : none;
}

std::int64_t WindowReader::standing_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& matrix : matrices_) bytes += matrix->standing_bytes();
  for (const auto& column : obs_) bytes += column->bytes();
  return bytes;
}

ReadCounts WindowReader::counts() const {
  return {rows_handed_out_, rows_read_, cache_.bytes_read()};
}

void WindowReader::keep_chunks(MemoryBudget& budget, std::int64_t left_free) {
  if (kept_.bytes() > 0) return;
  double all = 0;
  for (const auto& matrix : matrices_) {
    for (std::int32_t source = 0; source < data_->n_sources(); ++source) {
      all +=
          matrix->encoded_bytes_per_nonzero() * static_cast<double>(matrix->source(source).nnz());
    }
  }
  constexpr double slack = 1.1;
  const std::int64_t wanted = std::min((budget.limit() - budget.reserved() - left_free) / 2,
                                       static_cast<std::int64_t>(slack * all));
  if (wanted <= 0) return;
  kept_ = budget.reserve(wanted, "chunks for the next epoch");
  cache_.set_capacity(wanted);
}

std::int64_t WindowReader::nnz_of(std::size_t m, std::int64_t row) const {
  const Dataset::Place at = data_->place(row);
  return matrices_[m]->offsets(at.source).nnz(at.row);
}

void WindowReader::make_offsets(const WindowWork& work, std::size_t wanted, std::size_t m,
                                BatchMatrix& out) const {
  const Window& window = work.window;
  const std::int64_t begin = work.wanted[wanted].in_window * window.batch_size;
  const std::int64_t end =
      std::min(begin + window.batch_size, static_cast<std::int64_t>(window.rows.size()));
  out.indptr.resize(static_cast<std::size_t>(end - begin) + 1);
  std::int64_t offset = 0;
  out.indptr[0] = 0;
  for (std::int64_t place = begin; place < end; ++place) {
    offset += work.matrices[m].nnz[static_cast<std::size_t>(place)];
    if (offset > std::numeric_limits<std::int32_t>::max()) {
      throw input_error("a batch has more than 2^31 − 1 values; make batch_size smaller");
    }
    out.indptr[static_cast<std::size_t>(place - begin) + 1] = static_cast<std::int32_t>(offset);
  }
}

std::shared_ptr<Batch> WindowReader::new_batch() const {
  std::shared_ptr<Batch> batch = batches_->take();
  batch->matrices.resize(matrices_.size());
  batch->obsm.resize(obsm_.size());
  batch->obs.resize(obs_.size());
  return batch;
}

void WindowReader::begin(WindowWork& work) const {
  const std::size_t places = work.window.rows.size();
  work.matrices.resize(matrices_.size());
  work.obsm.resize(obsm_.size());
  for (auto& rows : work.obsm) rows.resize(work.reads.size());
  work.batches.resize(work.wanted.size());
  for (std::size_t m = 0; m < matrices_.size(); ++m) {
    WindowWork::MatrixWork& of = work.matrices[m];
    of.fetched.resize(work.reads.size());
    of.nnz.assign(places, 0);
    of.totals.assign(needs_total(m) ? places : 0, 0);
    for (const WindowWork::Target& target : work.targets) {
      of.nnz[static_cast<std::size_t>(target.place)] =
          static_cast<std::int32_t>(nnz_of(m, target.row));
    }
    if (!stays_packed(m) && !goes_direct(m)) {
      of.staged.resize(work.reads.size());
      of.staged_at.assign(places, 0);
    }
    if (!goes_direct(m)) continue;
    for (std::size_t b = 0; b < work.wanted.size(); ++b) {
      if (!work.batches[b]) work.batches[b] = new_batch();
      BatchMatrix& out = work.batches[b]->matrices[m];
      make_offsets(work, b, m, out);
      if (composes_dense()) {
        out.n_cols = matrices_[m]->n_cols();
        resize_for_reuse(
            out.dense, (out.indptr.size() - 1) * static_cast<std::size_t>(matrices_[m]->n_cols()));
      } else {
        resize_for_reuse(out.indices, static_cast<std::size_t>(out.nnz()));
        resize_for_reuse(out.values, static_cast<std::size_t>(out.nnz()));
      }
    }
  }
}

void WindowReader::fetch(WindowWork& work, Range reads) const {
  for (std::int64_t r = reads.begin; r < reads.end; ++r) {
    const auto at = static_cast<std::size_t>(r);
    const WindowWork::Read& read = work.reads[at];
    for (std::size_t m = 0; m < matrices_.size(); ++m) {
      const JoinedMatrix& matrix = *matrices_[m];
      FetchedRows& fetched = *(work.matrices[m].fetched[at] = fetched_->take());
      matrix.source(read.source)
          .fetch(read.rows, matrix.offsets(read.source).offsets(read.rows), cache_, fetched);
    }
    for (std::size_t k = 0; k < obsm_.size(); ++k) {
      const std::vector<float> rows =
          read_rows<float>(*obsm_[k][static_cast<std::size_t>(read.source)], read.rows);
      work.obsm[k][at].assign(rows.begin(), rows.end());
    }
    rows_read_ += read.rows.size();
  }
}

void WindowReader::decode(WindowWork& work, Range reads) const {
  for (std::int64_t r = reads.begin; r < reads.end; ++r) {
    const auto read = static_cast<std::size_t>(r);
    for (std::size_t m = 0; m < matrices_.size(); ++m) {
      auto& fetched = work.matrices[m].fetched[read];
      if (stays_packed(m)) {
        matrices_[m]->source(work.reads[read].source).verify_packed(*fetched);
        continue;
      }
      if (goes_direct(m)) {
        decode_direct(work, m, read);
      } else {
        decode_staged(work, m, read);
      }
      fetched.reset();
    }
  }
}

}  // namespace cellmill
