#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "cellmill/core/random.hpp"

namespace cellmill::simulation {

/// What a stream of random numbers is for: streams of different subjects never meet.
enum class Subject : std::uint64_t { gene = 1, line, drug, batch, cell };

/// Random numbers of one gene, line, cell …, one after the other.
class Draws {
 public:
  Draws(std::uint64_t seed, Subject subject, std::int64_t major, std::int64_t minor = 0)
      : rng_(seed, static_cast<std::uint64_t>(subject) << 60 |
                       static_cast<std::uint64_t>(major) << 40 |
                       static_cast<std::uint64_t>(minor)) {}

  [[nodiscard]] std::uint64_t bits() { return rng_.bits(next_++); }
  [[nodiscard]] double uniform() { return rng_.uniform(next_++); }
  [[nodiscard]] std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(rng_.below(next_++, static_cast<std::uint64_t>(bound)));
  }
  /// Standard normal, by Box and Muller.
  [[nodiscard]] double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  [[nodiscard]] double lognormal(double sigma) { return std::exp(sigma * normal()); }

 private:
  CounterRng rng_;
  std::uint64_t next_ = 0;
};

}  // namespace cellmill::simulation
