#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "cellmill/core/memory.hpp"
#include "cellmill/core/parallel.hpp"

namespace cellmill {

/// What every pass runs on.
struct PassResources {
  Arena& arena;
  MemoryBudget& budget;
  int io_threads = 2;
};

/// What one item carries from stage to stage; derived types hold the bytes. Gone, with its
/// reservation, after the last.
struct Fetched {
  Fetched() = default;
  Fetched(const Fetched&) = delete;
  Fetched& operator=(const Fetched&) = delete;
  virtual ~Fetched() = default;
};

/// A pass over `count` items: fetched in order on I/O threads, processed in any order as tasks.
struct Pass {
  std::int64_t count = 0;
  /// Most bytes that item i takes from its fetch to the end of its processing.
  std::function<std::int64_t(std::int64_t)> cost;
  /// On an I/O thread; may lock and wait.
  std::function<std::unique_ptr<Fetched>(std::int64_t)> fetch;
  /// In a task, any order; must not wait for memory.
  std::function<void(std::int64_t, Fetched&)> process;
  /// Optional: after `process`, for item 0, 1, 2 … in order, one at a time, on whichever task gets
  /// there.
  std::function<void(std::int64_t, Fetched&)> deliver;
  /// Asked before each item; throws to end the pass.
  std::function<void()> check;
};

/// Runs the pass; returns when all items are processed. The first error of any item ends it and is
/// rethrown, when nothing is in flight any more. Only fetching waits for memory, in order, for an
/// item's whole cost, and nothing downstream does: so it can't deadlock. At most two items a thread
/// are in flight, so memory is not filled for nothing.
void run_pass(const Pass& pass, const PassResources& resources);

}  // namespace cellmill
