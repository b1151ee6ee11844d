#include <cstddef>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "analysis/exchange.hpp"
#include "analysis/pass_runner.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/compute/normalise.hpp"

namespace cellmill {
namespace {

/// Which rows of the outputs a segment has.
class SegmentRows {
 public:
  SegmentRows(const RunContext& run, const std::vector<std::int64_t>& nonzeros_before)
      : plan_(run.plan),
        nonzeros_before_(nonzeros_before),
        with_x_(run.options.write_x != WriteX::none) {}

  [[nodiscard]] bool is_last(std::int64_t segment) const {
    return segment + 1 == static_cast<std::int64_t>(plan_.segments.size());
  }
  [[nodiscard]] std::int64_t first_nonzero(std::int64_t segment) const {
    return nonzeros_before_[static_cast<std::size_t>(segment)];
  }
  [[nodiscard]] std::map<std::string, Range> of(std::int64_t segment) const {
    const Range cells = plan_.rows_of_segment(segment);
    std::map<std::string, Range> rows = {{x_pca_name, cells}};
    if (!with_x_) return rows;
    const Range nonzeros{first_nonzero(segment), first_nonzero(segment + 1)};
    // The offsets are one more than the cells.
    rows[indptr_name] = {cells.begin, cells.end + (is_last(segment) ? 1 : 0)};
    rows[indices_name] = nonzeros;
    rows[values_name] = nonzeros;
    return rows;
  }
  /// Whether all of them are among those written.
  [[nodiscard]] bool are_in(const RowsOfArrays& written, std::int64_t segment) const {
    for (const auto& [name, rows] : of(segment)) {
      const auto at = written.find(name);
      if (!rows.empty() && (at == written.end() || !at->second.contains(rows))) return false;
    }
    return true;
  }

 private:
  const CellPlan& plan_;
  const std::vector<std::int64_t>& nonzeros_before_;
  bool with_x_;
};

/// X's part of the outputs, for one segment. \param offset of its first value among all
void append_x(ProjectionOutputs& outputs, const CsrChunk& chunk, std::int64_t offset,
              bool last_of_all) {
  std::vector<std::int64_t> indptr;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    indptr.push_back(offset + chunk.indptr[static_cast<std::size_t>(row)]);
  }
  if (last_of_all) indptr.push_back(offset + chunk.nnz());
  outputs[indptr_name]->append(std::as_bytes(std::span(indptr)));
  outputs[indices_name]->append(std::as_bytes(std::span(chunk.indices)));
  outputs[values_name]->append(std::as_bytes(std::span(chunk.values)));
}

}  // namespace

void project_pass(RunContext& run, const Components& components, const std::vector<double>& factors,
                  const GeneSlots& slots, const BlobStore& cache, const BlobStore& small,
                  const std::vector<std::int64_t>& nonzeros_before,
                  const ProjectionTarget& target) {
  const SegmentReader reader(run.inputs, run.plan, &cache, &small);
  const auto projector = make_cpu_backend()->make_projector(components.loadings, slots.n_slots,
                                                            components.k, components.offset);
  const WriteX write_x = run.options.write_x;
  const SegmentRows segment_rows_of(run, nonzeros_before);
  ProjectionOutputs outputs;
  std::mutex writing;  // of the outputs

  PassParts parts;
  parts.name = projection_pass;
  parts.output = target.partial;
  parts.written = [&] {
    const std::lock_guard lock(writing);
    RowsOfArrays written;
    for (const auto& [name, output] : outputs) written[name] = output->written();
    return written;
  };
  parts.covered = [&](const RowsOfArrays& written, std::int64_t segment) {
    return segment_rows_of.are_in(written, segment);
  };
  PassCheckpoint checkpoint(run.checkpoint, run.plan, run.comm, std::move(parts));

  SegmentPass pass("pass 3 (projection)", reader, checkpoint);
  pass.extra_per_row = components.k * static_cast<std::int64_t>(sizeof(float));
  pass.begin = [&](PulseControl& control) {
    const std::lock_guard lock(writing);
    outputs = target.open(control, checkpoint.rows_done());
  };
  pass.process = [&](std::int64_t at, SegmentPass::Item& item) {
    item.chunk.emplace(item.chunks.borrow());
    CsrChunk& chunk = **item.chunk;
    {
      const auto timed = item.clock.time(PassClock::Stage::decoding);
      reader.decode(at, *item.bytes, slots, chunk);
      item.bytes.end();
    }
    const auto timed = item.clock.time(PassClock::Stage::computing);
    const std::vector<float> counts =
        write_x == WriteX::counts ? std::vector<float>(chunk.values.begin(), chunk.values.end())
                                  : std::vector<float>{};
    normalise_log1p(chunk.indptr, chunk.values,
                    std::span(factors).subspan(static_cast<std::size_t>(reader.cells(at).begin),
                                               static_cast<std::size_t>(chunk.n_rows())));
    item.projected.resize(static_cast<std::size_t>(chunk.n_rows() * components.k));
    projector->project({chunk.indptr, chunk.indices, chunk.values, chunk.n_cols}, item.projected);
    if (write_x == WriteX::counts) chunk.values.assign(counts.begin(), counts.end());
    if (write_x == WriteX::none) item.chunk.reset();
  };
  std::int64_t next = 0;  // segment whose rows the outputs expect
  const auto skip_to = [&](std::int64_t at) {
    for (; next < at; ++next) {
      for (const auto& [name, rows] : segment_rows_of.of(run.plan.mine.begin + next)) {
        outputs[name]->skip(rows.size());
      }
    }
  };
  pass.deliver = [&](std::int64_t at, SegmentPass::Item& item) {
    const auto timed = item.clock.time(PassClock::Stage::writing);
    const std::lock_guard lock(writing);
    skip_to(at);
    outputs[x_pca_name]->append(std::as_bytes(std::span(item.projected)));
    const std::int64_t segment = run.plan.mine.begin + at;
    if (write_x != WriteX::none) {
      append_x(outputs, **item.chunk, segment_rows_of.first_nonzero(segment),
               segment_rows_of.is_last(segment));
    }
    ++next;
  };
  run_segments(run, pass);
  skip_to(reader.count());
  {
    const Exchange exchange(run, "borders of chunks", Exchange::Within::last_pass);
    for (const auto& [name, output] : outputs) output->exchange(run.comm);
  }
  with_pulse(run.comm, [&](PulseControl&) {
    for (const auto& [name, output] : outputs) output->finish();
  });
}

}  // namespace cellmill
