#pragma once

#include <memory>

#include "cellmill/train/order.hpp"

namespace cellmill::python {

/// An order and what it was made with.
struct PyOrder {
  std::shared_ptr<const Order> order;
  Tail tail = Tail::drop;
  RowBlocks rows;  ///< those in use; blocks do not matter
};

}  // namespace cellmill::python
