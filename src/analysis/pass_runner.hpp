#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "analysis/pass_checkpoint.hpp"
#include "analysis/pass_clock.hpp"
#include "analysis/run_passes.hpp"
#include "analysis/segment_reader.hpp"
#include "cellmill/comm/pulse.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/stream/pipeline.hpp"
#include "cellmill/stream/pool.hpp"

namespace cellmill {

/// One pass over this rank's segments, under the pulse.
struct SegmentPass {
  SegmentPass(std::string the_name, const SegmentReader& the_reader, PassCheckpoint& the_checkpoint)
      : name(std::move(the_name)), reader(the_reader), checkpoint(the_checkpoint) {}

  /// What a segment carries from stage to stage.
  struct Item : Fetched {
    Item(PassClock& the_clock, Pool<SegmentReader::Bytes>::Loan the_bytes,
         Pool<CsrChunk>& the_chunks)
        : bytes(std::move(the_bytes)), clock(the_clock), chunks(the_chunks) {}
    Pool<SegmentReader::Bytes>::Loan bytes;     ///< to be given back once decoded
    std::optional<Pool<CsrChunk>::Loan> chunk;  ///< for `deliver`
    RawVector<float> projected;                 ///< for `deliver`
    PassClock& clock;
    Pool<CsrChunk>& chunks;
  };

  std::string name;             ///< `pass 1 (counts)`
  const SegmentReader& reader;  ///< fetches and says what a segment costs
  PassCheckpoint& checkpoint;   ///< says what is to be done
  /// Bytes that processing takes beside what the reader says: for each stored value, and for each
  /// row.
  double extra_per_nonzero = 0;
  std::int64_t extra_per_row = 0;
  std::function<void(PulseControl&)> begin;  ///< on the work thread, before the first segment
  std::function<void(std::int64_t, Item&)> process;  ///< tasks, any order
  std::function<void(std::int64_t, Item&)> deliver;  ///< optional; in order
};

/// **Collective.** Takes over what earlier attempts did, runs the rest of the pass on every rank,
/// shows progress on rank 0, keeps its times in `run.timings`. When it is stopped, a checkpoint
/// says how far it came.
void run_segments(RunContext& run, const SegmentPass& pass);

}  // namespace cellmill
