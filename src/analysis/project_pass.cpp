#include <cstddef>
#include <span>
#include <vector>

#include "analysis/pass_runner.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/compute/normalise.hpp"

namespace cellmill {
namespace {

/// X's part of the outputs, for one segment. Offsets go on from those of the segments before.
void append_x(ProjectionOutputs& outputs, const CsrChunk& chunk, std::int64_t& offset,
              bool last_of_all) {
  std::vector<std::int64_t> indptr;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    indptr.push_back(offset + chunk.indptr[static_cast<std::size_t>(row)]);
  }
  offset += chunk.nnz();
  if (last_of_all) indptr.push_back(offset);
  outputs.indptr->append(std::as_bytes(std::span(indptr)));
  outputs.indices->append(std::as_bytes(std::span(chunk.indices)));
  outputs.values->append(std::as_bytes(std::span(chunk.values)));
}

}  // namespace

void project_pass(RunContext& run, const Components& components, const std::vector<double>& factors,
                  const GeneSlots& slots, const BlobStore& cache, const BlobStore& small,
                  std::int64_t first_nonzero,
                  const std::function<ProjectionOutputs(PulseControl&)>& make_outputs) {
  const SegmentReader reader(run.inputs, run.plan, &cache, &small);
  const auto projector = make_cpu_backend()->make_projector(components.loadings, slots.n_slots,
                                                            components.k, components.offset);
  const WriteX write_x = run.options.write_x;
  ProjectionOutputs outputs;
  std::int64_t offset = first_nonzero;

  SegmentPass pass("pass 3 (projection)", reader);
  pass.extra_per_row = components.k * static_cast<std::int64_t>(sizeof(float));
  pass.begin = [&](PulseControl& control) { outputs = make_outputs(control); };
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
  pass.deliver = [&](std::int64_t at, SegmentPass::Item& item) {
    const auto timed = item.clock.time(PassClock::Stage::writing);
    outputs.x_pca->append(std::as_bytes(std::span(item.projected)));
    if (write_x != WriteX::none)
      append_x(outputs, **item.chunk, offset,
               run.plan.mine.begin + at + 1 == static_cast<std::int64_t>(run.plan.segments.size()));
  };
  run_segments(run, pass);
  for (auto* output : {&outputs.x_pca, &outputs.indptr, &outputs.indices, &outputs.values}) {
    if (*output) (*output)->exchange(run.comm);
  }
  with_pulse(run.comm, [&](PulseControl&) {
    for (auto* output : {&outputs.x_pca, &outputs.indptr, &outputs.indices, &outputs.values}) {
      if (*output) (*output)->finish();
    }
  });
}

}  // namespace cellmill
