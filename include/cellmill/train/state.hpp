#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellmill/train/order.hpp"

namespace cellmill {

/// Where training is: the same on every rank, whatever their number. With the data, all it takes to
/// go on with the batch that would have come.
struct LoaderState {
  static constexpr int current_version = 1;

  int version = current_version;
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;
  std::int64_t batches = 0;  ///< global batches of this epoch that were handed out
  int lanes = 1;             ///< kept on resume, also by another number of ranks
  std::vector<std::pair<std::string, std::string>> options;  ///< Order::options()
  std::uint64_t data = 0;                                    ///< Dataset::fingerprint()

  /// Of what shapes the order (seed, lanes, options), not of the place in it, nor of the data.
  [[nodiscard]] std::uint64_t hash() const;
  bool operator==(const LoaderState&) const = default;
};

[[nodiscard]] LoaderState make_state(const Order& order, std::uint64_t seed, std::int64_t epoch,
                                     std::int64_t batches, std::uint64_t data);

/// One line: an object with a member for each field, options as an object, and the hash.
[[nodiscard]] std::string to_json(const LoaderState& state);

/// \throws Error(input) for what is no such object, another version, or options that the hash does
/// not belong to
[[nodiscard]] LoaderState state_from_json(std::string_view text);

/// \throws Error(input) naming the first option in which the order differs from the state's, with
/// both values, if the epoch has fewer batches than were handed out, or if the data are others
void check(const LoaderState& state, const Order& order, std::uint64_t data);

}  // namespace cellmill
