#include "train/epoch_plan.hpp"

namespace cellmill {

EpochPlan plan_epoch(const Order& order, const Schedule& schedule) {
  EpochPlan plan;
  std::vector<std::int32_t> current(static_cast<std::size_t>(order.lanes()),
                                    -1);  // visit of a lane
  for (std::int64_t step = 0; step < schedule.steps(); ++step) {
    const Schedule::Place place = schedule.place(step);
    const std::int64_t window = place.batch < 0 ? -1 : place.batch / order.window_batches();
    const std::int64_t in_window = place.batch < 0 ? 0 : place.batch % order.window_batches();
    std::int32_t& visit = current[static_cast<std::size_t>(place.lane)];
    const bool same =
        visit >= 0 && window >= 0 && plan.visits[static_cast<std::size_t>(visit)].window == window;
    if (!same) {
      visit = static_cast<std::int32_t>(plan.visits.size());
      plan.visits.push_back({place.lane, window, {}});
    }
    auto& wanted = plan.visits[static_cast<std::size_t>(visit)].wanted;
    plan.steps.push_back({visit, static_cast<std::int32_t>(wanted.size())});
    wanted.push_back({in_window, place.global_batch});
  }
  return plan;
}

}  // namespace cellmill
