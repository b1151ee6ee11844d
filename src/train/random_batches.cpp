#include "train/random_batches.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace cellmill {
namespace {

/// One label's part of the expectations: `with` of `n` rows have it, `size` are drawn.
///
/// The probabilities of its counts k follow from one another:
///   p(k+1) / p(k) = (with − k)(size − k) / ((k + 1)(n − with − size + k + 1)),
/// so they are summed from the likeliest count outwards until they no longer matter, relative to
/// that one, and divided by their own sum.
RandomBatch expected_label(std::int64_t n, std::int64_t with, std::int64_t size) {
  const std::int64_t least = std::max<std::int64_t>(0, size - (n - with));
  const std::int64_t most = std::min(size, with);
  const auto real = [](std::int64_t number) { return static_cast<double>(number); };
  const auto ratio = [&](std::int64_t k) {
    return real(with - k) * real(size - k) / (real(k + 1) * real(n - with - size + k + 1));
  };
  double all = 0;
  RandomBatch sum;
  const auto add = [&](std::int64_t k, double probability) {
    all += probability;
    const double part = real(k) / real(size);
    if (k > 0) {
      sum.entropy -= probability * part * std::log2(part);
      sum.distinct += probability;
    }
    sum.variation += probability * std::abs(part - real(with) / real(n)) / 2;
  };
  constexpr double negligible = 1e-18;
  const auto likeliest = static_cast<std::int64_t>(real(size + 1) * real(with + 1) / real(n + 2));
  const std::int64_t start = std::clamp(likeliest, least, most);
  double probability = 1;
  for (std::int64_t k = start; k <= most && probability > negligible; ++k) {
    add(k, probability);
    if (k < most) probability *= ratio(k);
  }
  probability = 1;
  for (std::int64_t k = start; k > least; --k) {
    probability /= ratio(k - 1);
    if (probability <= negligible) break;
    add(k - 1, probability);
  }
  return {sum.entropy / all, sum.distinct / all, sum.variation / all};
}

}  // namespace

RandomBatch expected_random_batch(std::span<const std::int64_t> rows_of_labels, std::int64_t size) {
  const std::int64_t n =
      std::accumulate(rows_of_labels.begin(), rows_of_labels.end(), std::int64_t{0});
  RandomBatch sum;
  if (n == 0 || size < 1) return sum;
  size = std::min(size, n);
  std::map<std::int64_t, double> labels_with;
  for (const std::int64_t with : rows_of_labels) labels_with[with] += 1;
  for (const auto& [with, labels] : labels_with) {
    const RandomBatch one = expected_label(n, with, size);
    sum.entropy += labels * one.entropy;
    sum.distinct += labels * one.distinct;
    sum.variation += labels * one.variation;
  }
  return sum;
}

}  // namespace cellmill
