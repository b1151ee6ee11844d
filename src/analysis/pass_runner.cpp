#include "analysis/pass_runner.hpp"

#include <fmt/format.h>

#include <chrono>

#include "analysis/hang_watch.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/progress.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

void run_segments(RunContext& run, const SegmentPass& pass) {
  PassClock clock;
  Pool<SegmentReader::Bytes> stored;
  Pool<CsrChunk> chunks;
  HangWatch calls;
  pass.checkpoint.restore();
  const std::vector<std::int64_t>& todo = pass.checkpoint.todo();
  const auto at_of = [&](std::int64_t item) { return todo[static_cast<std::size_t>(item)]; };
  ProgressLine line(pass.name, pass.checkpoint.cells_of_all());

  log_debug(pass.name + " begins");
  PulseOptions pulse;
  pulse.share = pass.checkpoint.cells_of_mine();
  pulse.on_progress = [&](const PulseProgress& progress) {
    line.show(progress.cells, progress.bytes);
  };
  with_pulse(
      run.comm,
      [&](PulseControl& control) {
        if (pass.begin) pass.begin(control);
        Pass plain;
        plain.count = static_cast<std::int64_t>(todo.size());
        plain.check = [&] { control.check(); };
        plain.cost = [&](std::int64_t number) {
          const std::int64_t at = at_of(number);
          const Segment& segment = pass.reader.segment(at);
          return pass.reader.cost(at) + pass.extra_per_row * segment.rows.size() +
                 static_cast<std::int64_t>(pass.extra_per_nonzero *
                                           static_cast<double>(segment.nnz));
        };
        plain.fetch = [&](std::int64_t number) {
          auto item = std::make_unique<SegmentPass::Item>(clock, stored.borrow(), chunks);
          const auto timed = clock.time(PassClock::Stage::reading);
          const Segment& segment = pass.reader.segment(at_of(number));
          const HangWatch::UnderWay reading(
              calls, fmt::format("{}: reading rows {} to {} (or their copy in scratch)",
                                 pass.reader.plate(at_of(number)).data->x().location(),
                                 grouped(segment.rows.begin), grouped(segment.rows.end)));
          pass.reader.fetch(at_of(number), *item->bytes);
          return item;
        };
        plain.process = [&](std::int64_t number, Fetched& fetched) {
          const std::int64_t at = at_of(number);
          auto& item = static_cast<SegmentPass::Item&>(fetched);
          const std::int64_t bytes = item.bytes->bytes();
          pass.checkpoint.add(at, [&] { pass.process(at, item); });
          clock.count(pass.reader.cells(at).size(), bytes);
          control.add(pass.reader.cells(at).size(), bytes);
        };
        if (pass.deliver) {
          plain.deliver = [&](std::int64_t number, Fetched& fetched) {
            const HangWatch::UnderWay writing(
                calls, fmt::format("{}: writing it", run.options.output.string()));
            pass.deliver(at_of(number), static_cast<SegmentPass::Item&>(fetched));
          };
        }
        try {
          const PassCheckpoint::Saver saver(pass.checkpoint);
          const HangGuard guard(calls,
                                std::chrono::duration_cast<HangWatch::Clock::duration>(
                                    std::chrono::duration<double>(run.options.io_timeout)),
                                run.comm, control);
          run_pass(plain, run.resources());
        } catch (const Error& error) {
          if (error.kind() == Error::Kind::stopped) pass.checkpoint.save();
          throw;
        }
        pass.checkpoint.save_or_warn();
      },
      pulse);
  line.finish();
  run.timings.push_back(clock.timing(run.comm.rank(), pass.name, run.arena.threads()));
  trim_heap();
}

}  // namespace cellmill
