#include "train/loader_run.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/stream/pipeline.hpp"

namespace cellmill {
namespace {

/// Rows that should be on their way whatever the sizes of windows and batches, so that all threads
/// have work.
constexpr std::int64_t rows_on_their_way = 16'384;
/// Enough for who takes them to be late now and then; few, so that they are in the caches when they
/// are taken.
constexpr std::int64_t rows_composed_ahead = 1'024;

/// What a part of a window carries through the pass.
struct Part : Fetched {
  std::shared_ptr<WindowWork> work;
};

EpochPlan plan_from(const LoaderParts& parts, std::int64_t first) {
  return plan_epoch(*parts.order, Schedule(*parts.order, parts.tail, parts.reader.index,
                                           parts.reader.count, first));
}

std::int64_t lanes_of(const EpochPlan& plan) {
  std::set<int> lanes;
  for (const auto& visit : plan.visits) lanes.insert(visit.lane);
  return std::max<std::int64_t>(static_cast<std::int64_t>(lanes.size()), 1);
}

}  // namespace

LoaderRun::LoaderRun(const LoaderParts& parts, Loader::Place from)
    : parts_(parts),
      from_(from),
      first_plan_(plan_from(parts, from.first)),
      full_plan_(from.first == 0 ? first_plan_ : plan_from(parts, 0)),
      epoch_(from.epoch),
      composing_(parts.arena) {
  const std::int64_t threads = parts.arena.threads();
  std::int64_t batch_rows = 1;
  std::int64_t window_rows = 1;
  if (!full_plan_.visits.empty()) {
    batch_rows = std::max<std::int64_t>(parts_.order->window(0, 0, 0).batch_size, 1);
    window_rows = batch_rows * static_cast<std::int64_t>(full_plan_.visits.front().wanted.size());
  }
  constexpr std::int64_t rows_a_part = 256;
  parts_a_visit_ = std::clamp<std::int64_t>(window_rows / rows_a_part, 1, 16 * threads);
  most_visits_ = std::max(2 * lanes_of(full_plan_), rows_on_their_way / window_rows);
  most_ahead_ = std::max(threads + 1, rows_composed_ahead / batch_rows);
  thread_ = std::thread([this] { read(); });
}

LoaderRun::~LoaderRun() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  composing_.wait();
}

std::int64_t LoaderRun::first_visit_of(std::int64_t epoch) const {
  if (epoch == from_.epoch) return 0;
  return static_cast<std::int64_t>(first_plan_.visits.size()) +
         (epoch - from_.epoch - 1) * static_cast<std::int64_t>(full_plan_.visits.size());
}

LoaderRun::Visit LoaderRun::visit_at(std::int64_t number) const {
  const auto in_first = static_cast<std::int64_t>(first_plan_.visits.size());
  if (number < in_first) {
    return {from_.epoch, &first_plan_.visits[static_cast<std::size_t>(number)]};
  }
  const auto in_epoch = static_cast<std::int64_t>(full_plan_.visits.size());
  return {from_.epoch + 1 + (number - in_first) / in_epoch,
          &full_plan_.visits[static_cast<std::size_t>((number - in_first) % in_epoch)]};
}

void LoaderRun::fail(std::exception_ptr error) {
  {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stopping_ = true;
  }
  changed_.notify_all();
}

template <class Body>
void LoaderRun::failing(Body&& body) {
  try {
    body();
  } catch (...) {
    fail(std::current_exception());  // at once: the pass ends only when nothing waits any more
    throw;
  }
}

std::shared_ptr<WindowWork> LoaderRun::work_of(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  return open_.at(number).work;
}

Range LoaderRun::part_of(const WindowWork& work, std::int64_t item) const {
  return even_part(static_cast<std::int64_t>(work.reads.size()), parts_a_visit_,
                   item % parts_a_visit_);
}

void LoaderRun::reserve_batches(std::int64_t bytes) {
  // One more is in use by whoever takes them, and one on its way back.
  constexpr std::int64_t beside = 2;
  if (bytes > 0) {
    const std::int64_t fit = parts_.budget.limit() / 4 / bytes - beside;
    const std::lock_guard lock(mutex_);
    most_ahead_ = std::clamp<std::int64_t>(fit, 1, most_ahead_);
  }
  ahead_ = parts_.budget.reserve((most_ahead_ + beside) * bytes, "batches made ahead");
}

void LoaderRun::begin_visit(std::int64_t number) {
  const Visit visit = visit_at(number);
  Window window;
  if (visit.plan->window >= 0) {
    window = parts_.order->window(visit.epoch, visit.plan->lane, visit.plan->window);
  } else {
    window = parts_.order->window(visit.epoch, visit.plan->lane, 0);
    window.rows.assign(static_cast<std::size_t>(window.batch_size), -1);
  }
  auto work = parts_.windows.plan(std::move(window), visit.plan->wanted);
  work->epoch = visit.epoch;
  const std::int64_t cost = parts_.windows.cost(*work);
  if (number == 0) {
    reserve_batches(parts_.windows.composed_bytes(*work));
    parts_.windows.keep_chunks(parts_.budget, 2 * most_visits_ * cost);
    window_room_ = parts_.budget.limit() - parts_.budget.reserved();
  }
  if (cost > window_room_) {
    (void)parts_.budget.reserve(cost, "a window of rows");  // says so
  }
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      const bool free = static_cast<std::int64_t>(open_.size()) < most_visits_ &&
                        (open_.empty() || parts_.budget.fits(cost));
      return stopping_ || free;
    });
    if (stopping_) throw stopped_error("reading was stopped");
  }
  work->memory = parts_.budget.wait_for(cost);
  parts_.windows.begin(*work);
  const std::lock_guard lock(mutex_);
  open_[number] = {std::move(work), false, static_cast<std::int64_t>(visit.plan->wanted.size())};
}

void LoaderRun::end_visit(std::int64_t number) {
  std::unique_lock lock(mutex_);
  open_.at(number).decoded = true;
  compose_ahead(lock);
}

void LoaderRun::read() {
  try {
    Pass pass;
    pass.count = full_plan_.visits.empty() ? static_cast<std::int64_t>(first_plan_.visits.size())
                                           : std::numeric_limits<std::int64_t>::max() / 2;
    // A window's memory is waited for as a whole, before its first part: parts have none of their
    // own to wait for.
    pass.cost = [&](std::int64_t item) -> std::int64_t {
      if (item % parts_a_visit_ == 0) failing([&] { begin_visit(item / parts_a_visit_); });
      return 0;
    };
    pass.fetch = [&](std::int64_t item) {
      auto part = std::make_unique<Part>();
      part->work = work_of(item / parts_a_visit_);
      failing([&] { parts_.windows.fetch(*part->work, part_of(*part->work, item)); });
      return part;
    };
    pass.process = [&](std::int64_t item, Fetched& fetched) {
      WindowWork& work = *static_cast<Part&>(fetched).work;
      failing([&] { parts_.windows.decode(work, part_of(work, item)); });
    };
    pass.deliver = [&](std::int64_t item, Fetched&) {
      if (item % parts_a_visit_ == parts_a_visit_ - 1) end_visit(item / parts_a_visit_);
    };
    pass.check = [&] {
      const std::lock_guard lock(mutex_);
      if (stopping_) throw stopped_error("reading was stopped");
    };
    run_pass(pass, {parts_.arena, parts_.budget});
  } catch (...) {
    fail(std::current_exception());
  }
}

void LoaderRun::compose_ahead(std::unique_lock<std::mutex>& lock) {
  std::vector<std::function<void()>> tasks;
  while (!stopping_ && static_cast<std::int64_t>(slots_.size()) < most_ahead_) {
    const EpochPlan& plan = plan_of(epoch_);
    if (step_ == static_cast<std::int64_t>(plan.steps.size())) {
      auto slot = std::make_shared<Slot>();
      slot->ends_epoch = true;
      slot->ready = true;
      slots_.push_back(std::move(slot));
      ++epoch_;
      step_ = 0;
      if (plan_of(epoch_).steps.empty()) break;  // epochs without a batch: one at a time
      continue;
    }
    const EpochPlan::Step step = plan.steps[static_cast<std::size_t>(step_)];
    const auto open = open_.find(first_visit_of(epoch_) + step.visit);
    if (open == open_.end() || !open->second.decoded) break;
    auto slot = std::make_shared<Slot>();
    slots_.push_back(slot);
    ++step_;
    std::shared_ptr<WindowWork> work = open->second.work;
    if (--open->second.left == 0) open_.erase(open);
    tasks.emplace_back([this, work = std::move(work), step, slot]() mutable {
      compose(std::move(work), static_cast<std::size_t>(step.wanted), slot);
    });
  }
  lock.unlock();
  changed_.notify_all();
  for (auto& task : tasks) composing_.run(std::move(task));
}

void LoaderRun::compose(std::shared_ptr<WindowWork> work, std::size_t wanted,
                        const std::shared_ptr<Slot>& slot) {
  try {
    std::shared_ptr<Batch> batch = parts_.windows.compose(*work, wanted);
    work.reset();  // its memory is free before anybody is told
    const std::lock_guard lock(mutex_);
    slot->batch = std::move(batch);
    slot->ready = true;
  } catch (...) {
    fail(std::current_exception());
  }
  changed_.notify_all();
}

bool LoaderRun::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  if (slots_.empty()) {
    compose_ahead(lock);
    lock.lock();
  }
  return changed_.wait_for(lock, most,
                           [&] { return error_ || (!slots_.empty() && slots_.front()->ready); });
}

std::shared_ptr<Batch> LoaderRun::next() {
  std::unique_lock lock(mutex_);
  if (error_) std::rethrow_exception(error_);
  const std::shared_ptr<Slot> slot = std::move(slots_.front());
  slots_.pop_front();
  compose_ahead(lock);
  return std::move(slot->batch);
}

}  // namespace cellmill
