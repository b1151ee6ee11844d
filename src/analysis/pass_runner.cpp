#include "analysis/pass_runner.hpp"

#include "cellmill/core/log.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/progress.hpp"

namespace cellmill {

void run_segments(RunContext& run, const SegmentPass& pass) {
  PassClock clock;
  Pool<SegmentReader::Bytes> stored;
  Pool<CsrChunk> chunks;
  ProgressLine line(pass.name, run.plan.n_cells());

  log_debug(pass.name + " begins");
  PulseOptions pulse;
  pulse.share = run.plan.rows_of_ranks()[static_cast<std::size_t>(run.comm.rank())].size();
  pulse.on_progress = [&](const PulseProgress& progress) {
    line.show(progress.cells, progress.bytes);
  };
  with_pulse(
      run.comm,
      [&](PulseControl& control) {
        if (pass.begin) pass.begin(control);
        Pass plain;
        plain.count = pass.reader.count();
        plain.check = [&] { control.check(); };
        plain.cost = [&](std::int64_t at) {
          const Segment& segment = pass.reader.segment(at);
          return pass.reader.cost(at) + pass.extra_per_row * segment.rows.size() +
                 static_cast<std::int64_t>(pass.extra_per_nonzero *
                                           static_cast<double>(segment.nnz));
        };
        plain.fetch = [&](std::int64_t at) {
          auto item = std::make_unique<SegmentPass::Item>(clock, stored.borrow(), chunks);
          const auto timed = clock.time(PassClock::Stage::reading);
          pass.reader.fetch(at, *item->bytes);
          return item;
        };
        plain.process = [&](std::int64_t at, Fetched& fetched) {
          auto& item = static_cast<SegmentPass::Item&>(fetched);
          const std::int64_t bytes = item.bytes->bytes();
          pass.process(at, item);
          clock.count(pass.reader.cells(at).size(), bytes);
          control.add(pass.reader.cells(at).size(), bytes);
        };
        if (pass.deliver) {
          plain.deliver = [&](std::int64_t at, Fetched& fetched) {
            pass.deliver(at, static_cast<SegmentPass::Item&>(fetched));
          };
        }
        run_pass(plain, run.resources());
      },
      pulse);
  line.finish();
  run.timings.push_back(clock.timing(run.comm.rank(), pass.name, run.arena.threads()));
  trim_heap();
}

}  // namespace cellmill
