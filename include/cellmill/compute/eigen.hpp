#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cellmill {

/// The k largest eigenvalues of a symmetric matrix, descending, and their vectors.
struct EigenPairs {
  std::vector<double> values;  ///< k
  std::vector<double>
      vectors;  ///< n × k, row-major; unit columns, the entry of largest magnitude positive
};

enum class EigenMethod { automatic, lapack, spectra };

/// Solves on the calling thread (LAPACK's dsyevr with a fixed number of BLAS threads, or Spectra's
/// Lanczos where k is small against n). The matrix is overwritten. \param matrix n × n, row-major
/// \throws Error(input) if it is not finite or k is out of range
[[nodiscard]] EigenPairs largest_eigenpairs(std::span<double> matrix, std::int64_t n,
                                            std::int64_t k,
                                            EigenMethod method = EigenMethod::automatic);

}  // namespace cellmill
