#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "cellmill/compute/csr_view.hpp"
#include "cellmill/core/random.hpp"

namespace cellmill::test {

/// A small sparse matrix with memory of its own.
struct Csr {
  std::int32_t n_cols = 0;
  std::vector<std::int64_t> indptr{0};
  std::vector<std::int32_t> indices;
  std::vector<float> values;

  void add_row(const std::vector<std::pair<std::int32_t, float>>& entries) {
    for (const auto& [column, value] : entries) {
      indices.push_back(column);
      values.push_back(value);
    }
    indptr.push_back(static_cast<std::int64_t>(indices.size()));
  }
  [[nodiscard]] std::int64_t n_rows() const { return static_cast<std::int64_t>(indptr.size()) - 1; }
  [[nodiscard]] CsrView view() const { return {indptr, indices, values, n_cols}; }
  /// Rows [begin, end), with an indptr that does not start at 0.
  [[nodiscard]] CsrView rows(std::int64_t begin, std::int64_t end) const {
    const auto first = static_cast<std::size_t>(indptr[static_cast<std::size_t>(begin)]);
    const auto count = static_cast<std::size_t>(indptr[static_cast<std::size_t>(end)]) - first;
    return {std::span(indptr).subspan(static_cast<std::size_t>(begin),
                                      static_cast<std::size_t>(end - begin) + 1),
            std::span(indices).subspan(first, count), std::span(values).subspan(first, count),
            n_cols};
  }
  [[nodiscard]] std::vector<double> dense() const {
    std::vector<double> result(static_cast<std::size_t>(n_rows() * n_cols), 0.0);
    for (std::int64_t r = 0; r < n_rows(); ++r) {
      for (std::int64_t k = indptr[static_cast<std::size_t>(r)];
           k < indptr[static_cast<std::size_t>(r) + 1]; ++k) {
        const auto at = static_cast<std::size_t>(k);
        result[static_cast<std::size_t>(r * n_cols + indices[at])] =
            static_cast<double>(values[at]);
      }
    }
    return result;
  }
};

/// Values between 0.1 and 3.1; the first genes are in most cells, the last in few; gene 1 is in
/// none, row 2 is empty.
inline Csr random_matrix(std::int64_t rows, std::int32_t genes, std::uint64_t seed) {
  const CounterRng rng(seed, 0);
  Csr matrix;
  matrix.n_cols = genes;
  std::uint64_t counter = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::vector<std::pair<std::int32_t, float>> row;
    for (std::int32_t g = 0; g < genes; ++g) {
      const double density = 0.8 / (1 + 10.0 * g / genes);
      const bool present = rng.uniform(counter++) < density;
      const auto value = static_cast<float>(0.1 + 3 * rng.uniform(counter++));
      if (present && g != 1 && r != 2) row.emplace_back(g, value);
    }
    matrix.add_row(row);
  }
  return matrix;
}

struct Oracle {
  std::vector<double> means;
  std::vector<double> covariance;  ///< n × n
};

/// In double, centred first.
inline Oracle oracle_of(const Csr& matrix) {
  const auto n = static_cast<std::size_t>(matrix.n_cols);
  const auto rows = static_cast<std::size_t>(matrix.n_rows());
  std::vector<double> dense = matrix.dense();
  Oracle oracle{std::vector<double>(n, 0.0), std::vector<double>(n * n, 0.0)};
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t g = 0; g < n; ++g) oracle.means[g] += dense[r * n + g];
  }
  for (double& mean : oracle.means) mean /= static_cast<double>(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t g = 0; g < n; ++g) dense[r * n + g] -= oracle.means[g];
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        oracle.covariance[i * n + j] += dense[r * n + i] * dense[r * n + j];
      }
    }
  }
  for (double& value : oracle.covariance) value /= static_cast<double>(rows - 1);
  return oracle;
}

inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

}  // namespace cellmill::test
