#include "analysis/pass_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "analysis/hang_watch.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/progress.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// A pass takes one segment at a time where it must: that one has to fit what --memory says. For
/// the first pass that runs; later ones take less.
void expect_room(const RunContext& run, const SegmentPass& pass,
                 const std::vector<std::int64_t>& todo,
                 const std::function<std::int64_t(std::int64_t)>& cost_of) {
  if (run.options.memory == 0 || todo.empty() || !run.timings.empty()) return;
  const auto less = [&](std::int64_t a, std::int64_t b) {
    return pass.reader.segment(a).nnz < pass.reader.segment(b).nnz;
  };
  const std::int64_t largest = *std::max_element(todo.begin(), todo.end(), less);
  const std::int64_t held = current_rss();
  const std::int64_t needed = (held + cost_of(largest)) / 11 * 10;  // 10% more are borne
  if (needed <= run.options.memory) return;
  const Segment& segment = pass.reader.segment(largest);
  throw input_error(fmt::format(
      "{}: rows {} to {} of {} have {} values, which take {} at once, beside {} that are held; it "
      "takes --memory {} at least",
      pass.name, grouped(segment.rows.begin), grouped(segment.rows.end),
      pass.reader.plate(largest).data->x().location(), grouped(segment.nnz),
      human_bytes(cost_of(largest)), human_bytes(held), fmt::format("{}M", (needed >> 20) + 1)));
}

}  // namespace

void run_segments(RunContext& run, const SegmentPass& pass) {
  PassClock clock(run.comm);
  Pool<SegmentReader::Bytes> stored;
  Pool<CsrChunk> chunks;
  HangWatch calls;
  pass.checkpoint.restore();
  const std::vector<std::int64_t>& todo = pass.checkpoint.todo();
  const auto at_of = [&](std::int64_t item) { return todo[static_cast<std::size_t>(item)]; };
  ProgressLine line(pass.name, pass.checkpoint.cells_of_all());

  const double waited_before = run.comm.cost().waiting;
  log_debug(pass.name + " begins");
  PulseOptions pulse;
  pulse.share = pass.checkpoint.cells_of_mine();
  pulse.on_progress = [&](const PulseProgress& progress) {
    line.show(progress.cells, progress.bytes,
              run.comm.size() > 1 ? std::optional(progress.slowest_rank) : std::nullopt);
  };
  const auto cost_of = [&](std::int64_t at) {
    const Segment& segment = pass.reader.segment(at);
    return pass.reader.cost(at) + pass.extra_per_row * segment.rows.size() +
           static_cast<std::int64_t>(pass.extra_per_nonzero * static_cast<double>(segment.nnz));
  };
  with_pulse(
      run.comm,
      [&](PulseControl& control) {
        expect_room(run, pass, todo, cost_of);
        if (pass.begin) pass.begin(control);
        Pass plain;
        plain.count = static_cast<std::int64_t>(todo.size());
        plain.check = [&] { control.check(); };
        plain.cost = [&](std::int64_t number) { return cost_of(at_of(number)); };
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
  const double waited = run.comm.cost().waiting - waited_before;
  if (run.comm.rank() == 0 && waited > 1.0) {
    log_info(fmt::format("rank 0 of {} waited {} for others at the end of {}", run.comm.size(),
                         human_seconds(waited), pass.name));
  }
  run.timings.push_back(clock.timing(pass.name, run.arena.threads()));
  trim_heap();
}

}  // namespace cellmill
