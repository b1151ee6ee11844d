#pragma once

#include <cstdint>
#include <vector>

#include "cellmill/train/order.hpp"
#include "cellmill/train/schedule.hpp"
#include "train/window_work.hpp"

namespace cellmill {

/// Which windows one reader goes through in an epoch, and which batches of them it makes: its
/// steps, cut where the window of their lane changes.
struct EpochPlan {
  struct Visit {
    int lane = 0;
    std::int64_t window = 0;  ///< −1: batches of padding only
    std::vector<WantedBatch> wanted;
  };
  std::vector<Visit> visits;
  struct Step {
    std::int32_t visit = 0;
    std::int32_t wanted = 0;
  };
  std::vector<Step> steps;
};

[[nodiscard]] EpochPlan plan_epoch(const Order& order, const Schedule& schedule);

}  // namespace cellmill
