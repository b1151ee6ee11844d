#include "train/lanes.hpp"

#include <fmt/format.h>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

const char* tail_name(Tail tail) {
  switch (tail) {
    case Tail::drop:
      return "drop";
    case Tail::pad:
      return "pad";
    case Tail::wrap:
      return "wrap";
    case Tail::keep:
      return "keep";
  }
  return "";
}

Lanes::Lanes(std::int64_t rows, const OrderOptions& the_options)
    : n_rows(rows), options(the_options) {
  if (options.batch_size < 1) {
    throw usage_error(fmt::format("batch_size: {} found, expected at least 1", options.batch_size));
  }
  if (options.lanes < 1) {
    throw usage_error(fmt::format("lanes: {} found, expected at least 1", options.lanes));
  }
  if (n_rows == 0) throw input_error("there is no row to read: the data, or the choice, is empty");
  if (options.tail == Tail::keep && options.lanes > 1) {
    throw usage_error(fmt::format(
        "tail=\"keep\" gives a smaller last batch, which only one reader can have; there are {} "
        "lanes: take \"drop\", \"pad\" or \"wrap\"",
        options.lanes));
  }
  if (options.tail != Tail::drop && n_rows < options.lanes) {
    throw usage_error(fmt::format("{} rows can't be shared by {} lanes", n_rows, options.lanes));
  }
  const std::int64_t least = n_rows / options.lanes;
  const std::int64_t most = (n_rows + options.lanes - 1) / options.lanes;
  batches = options.tail == Tail::drop ? least / options.batch_size
                                       : (most + options.batch_size - 1) / options.batch_size;
  if (batches == 0) {
    throw usage_error(
        fmt::format("batch_size {} is more than the {} rows that each of {} lanes has, and "
                    "tail=\"drop\" leaves "
                    "nothing: make batches smaller, or take tail=\"pad\" or \"wrap\"",
                    grouped(options.batch_size), grouped(least), options.lanes));
  }
}

}  // namespace cellmill
