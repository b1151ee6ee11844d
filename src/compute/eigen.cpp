#include "cellmill/compute/eigen.hpp"

#include <Spectra/MatOp/DenseSymMatProd.h>
#include <Spectra/SymEigsSolver.h>
#include <cblas.h>
#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

#include "cellmill/core/error.hpp"

extern "C" {
// LAPACK's name and arguments (Fortran: everything by address, two lengths of strings at the end
// are not needed for one-letter arguments but are part of the calling convention).
void dsyevr_(const char* jobz, const char* range, const char* uplo, const int* n, double* a,
             const int* lda, const double* vl, const double* vu, const int* il, const int* iu,
             const double* abstol, int* m, double* w, double* z, const int* ldz, int* isuppz,
             double* work, const int* lwork, int* iwork, const int* liwork, int* info, std::size_t,
             std::size_t, std::size_t);
}

namespace cellmill {

namespace {

/// OpenBLAS gives other bits with other thread counts, and takes fewer than it is told to where a
/// rank is bound to few cores: only one is the same everywhere. A second one gains a tenth
/// (docs/performance.md), and spins where cores are busy.
constexpr int kBlasThreads = 1;

/// The thread count is the process's: one solve at a time holds it, and gives back what it found.
class FixedBlasThreads {
 public:
  FixedBlasThreads() : lock_(mutex()), before_(openblas_get_num_threads()) {
    openblas_set_num_threads(kBlasThreads);
  }
  ~FixedBlasThreads() { openblas_set_num_threads(before_); }
  FixedBlasThreads(const FixedBlasThreads&) = delete;
  FixedBlasThreads& operator=(const FixedBlasThreads&) = delete;

 private:
  static std::mutex& mutex() {
    static std::mutex only;
    return only;
  }
  std::scoped_lock<std::mutex> lock_;
  int before_;
};

/// Descending, in n × k rows, with the sign of the header.
EigenPairs arranged(std::span<const double> ascending, const double* columns, std::int64_t n,
                    std::int64_t k) {
  EigenPairs pairs;
  pairs.values.resize(static_cast<std::size_t>(k));
  pairs.vectors.resize(static_cast<std::size_t>(n * k));
  for (std::int64_t c = 0; c < k; ++c) {
    const double* column = columns + (k - 1 - c) * n;
    pairs.values[static_cast<std::size_t>(c)] = ascending[static_cast<std::size_t>(k - 1 - c)];
    const double* largest = std::max_element(
        column, column + n, [](double a, double b) { return std::abs(a) < std::abs(b); });
    const double sign = *largest < 0 ? -1 : 1;
    for (std::int64_t i = 0; i < n; ++i) {
      pairs.vectors[static_cast<std::size_t>(i * k + c)] = sign * column[i];
    }
  }
  return pairs;
}

EigenPairs by_lapack(std::span<double> matrix, std::int64_t n, std::int64_t k) {
  const FixedBlasThreads threads;
  const int size = static_cast<int>(n);
  const int first = static_cast<int>(n - k + 1);
  const double unused = 0;
  const double tolerance = 0;  // the default: as exact as it gets
  int found = 0;
  int info = 0;
  std::vector<double> values(static_cast<std::size_t>(n));
  std::vector<double> vectors(static_cast<std::size_t>(n * k));
  std::vector<int> support(2 * static_cast<std::size_t>(k));
  const auto call = [&](double* work, int work_size, int* int_work, int int_work_size) {
    dsyevr_("V", "I", "L", &size, matrix.data(), &size, &unused, &unused, &first, &size, &tolerance,
            &found, values.data(), vectors.data(), &size, support.data(), work, &work_size,
            int_work, &int_work_size, &info, 1, 1, 1);
  };
  double work_size = 0;
  int int_work_size = 0;
  call(&work_size, -1, &int_work_size, -1);
  std::vector<double> work(static_cast<std::size_t>(work_size));
  std::vector<int> int_work(static_cast<std::size_t>(int_work_size));
  call(work.data(), static_cast<int>(work.size()), int_work.data(), int_work_size);
  if (info != 0 || found != k) {
    throw input_error(fmt::format(
        "eigenvalues of a {} × {} matrix: dsyevr found {} of {} (info {})", n, n, found, k, info));
  }
  return arranged({values.data(), static_cast<std::size_t>(k)}, vectors.data(), n, k);
}

/// Nothing if the iteration did not converge.
std::optional<EigenPairs> by_spectra(std::span<const double> matrix, std::int64_t n,
                                     std::int64_t k) {
  const Eigen::Map<const Eigen::MatrixXd> map(matrix.data(), n, n);
  Spectra::DenseSymMatProd<double> product(map);
  // The subspace: twice as many vectors as wanted converge in few restarts.
  Spectra::SymEigsSolver<Spectra::DenseSymMatProd<double>> solver(
      product, k, std::min(n, std::max<std::int64_t>(2 * k + 1, 20)));
  solver.init();
  constexpr std::int64_t kRestarts = 300;
  constexpr double kTolerance = 1e-13;
  solver.compute(Spectra::SortRule::LargestAlge, kRestarts, kTolerance,
                 Spectra::SortRule::SmallestAlge);
  if (solver.info() != Spectra::CompInfo::Successful) return std::nullopt;
  const Eigen::VectorXd values = solver.eigenvalues();
  const Eigen::MatrixXd vectors = solver.eigenvectors();
  if (values.size() != k) return std::nullopt;
  return arranged({values.data(), static_cast<std::size_t>(k)}, vectors.data(), n, k);
}

/// Measured (docs/performance.md): below these sizes dsyevr is as quick, and it alone is sure to
/// find every copy of a repeated eigenvalue.
bool lanczos_pays(std::int64_t n, std::int64_t k) { return n >= 2000 && k * 20 <= n; }

}  // namespace

EigenPairs largest_eigenpairs(std::span<double> matrix, std::int64_t n, std::int64_t k,
                              EigenMethod method) {
  constexpr std::int64_t kLargest = 46340;  // LAPACK's int must hold n²
  if (n < 1 || n > kLargest || static_cast<std::int64_t>(matrix.size()) != n * n) {
    throw input_error(
        fmt::format("eigenvalues: found {} numbers for a {} × {} matrix", matrix.size(), n, n));
  }
  if (k < 1 || k > n) {
    throw input_error(fmt::format("eigenvalues: found k = {}, expected 1 to {}", k, n));
  }
  bool zero = true;
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    if (!std::isfinite(matrix[i])) {
      throw input_error(fmt::format("eigenvalues: found {} at ({}, {}), expected finite numbers",
                                    matrix[i], static_cast<std::int64_t>(i) / n,
                                    static_cast<std::int64_t>(i) % n));
    }
    zero = zero && matrix[i] == 0;
  }
  const bool iterate =
      method == EigenMethod::spectra || (method == EigenMethod::automatic && lanczos_pays(n, k));
  if (iterate && k < n && !zero) {  // Lanczos needs room to work in, and something to start from
    if (std::optional<EigenPairs> pairs = by_spectra(matrix, n, k)) return *std::move(pairs);
  }
  return by_lapack(matrix, n, k);
}

}  // namespace cellmill
