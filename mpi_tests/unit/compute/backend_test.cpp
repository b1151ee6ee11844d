#include "cellmill/compute/backend.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "cellmill/compute/eigen.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/parallel.hpp"
#include "matrices.hpp"

// What every Backend promises, over the levels of the CPU; another backend joins the list at the
// end.

namespace cellmill {
namespace {

using test::Csr;
using testing::HasSubstr;

enum class Hot { none, by_density, all };

GramOptions options_for(const Csr& matrix, Hot hot = Hot::by_density) {
  const auto n = static_cast<std::size_t>(matrix.n_cols);
  GramOptions options;
  options.n_cells = matrix.n_rows();
  options.max_abs.assign(n, 0.0);
  options.shift.assign(n, 0.0);
  options.density.assign(n, 0.0);
  const auto rows = static_cast<double>(std::max<std::int64_t>(matrix.n_rows(), 1));
  for (std::size_t k = 0; k < matrix.values.size(); ++k) {
    const auto g = static_cast<std::size_t>(matrix.indices[k]);
    const auto value = static_cast<double>(matrix.values[k]);
    options.max_abs[g] = std::max(options.max_abs[g], std::abs(value));
    options.shift[g] += value / rows;
    options.density[g] += 1 / rows;
  }
  if (hot == Hot::none) options.density.clear();
  if (hot == Hot::all) options.density.assign(n, 1.0);
  return options;
}

void add_segments(GramAccumulator& gram, const Csr& matrix, std::int64_t rows) {
  for (std::int64_t r = 0; r < matrix.n_rows(); r += rows) {
    gram.add(matrix.rows(r, std::min(r + rows, matrix.n_rows())));
  }
}

class BackendConformance : public testing::TestWithParam<CpuLevel> {
 protected:
  void SetUp() override {
    if (!cpu_has(GetParam())) GTEST_SKIP() << "this processor lacks it";
    backend_ = make_cpu_backend(GetParam());
  }

  void expect_oracle(const Csr& matrix, const GramOptions& options, std::int64_t segment_rows,
                     double tolerance) {
    const auto gram = backend_->make_gram(options);
    add_segments(*gram, matrix, segment_rows);
    const GramAccumulator::Covariance found = gram->covariance(matrix.n_rows());
    const test::Oracle expected = test::oracle_of(matrix);
    EXPECT_LT(test::largest_difference(found.means, expected.means), tolerance);
    EXPECT_LT(test::largest_difference(found.matrix, expected.covariance), tolerance);
  }

  std::unique_ptr<Backend> backend_;
};

TEST_P(BackendConformance, NamesItself) {
  EXPECT_EQ(backend_->name(), "cpu (" + cpu_level_name(GetParam()) + ")");
}

TEST_P(BackendConformance, CovarianceIsTheOraclesWhateverIsHot) {
  for (const std::int32_t genes : {1, 3, 16, 17, 257, 300, 700}) {
    const Csr matrix = test::random_matrix(150, genes, static_cast<std::uint64_t>(genes));
    for (const Hot hot : {Hot::none, Hot::by_density, Hot::all}) {
      SCOPED_TRACE(testing::Message() << genes << " genes, hot " << static_cast<int>(hot));
      expect_oracle(matrix, options_for(matrix, hot), 60, 1e-6);
    }
  }
}

TEST_P(BackendConformance, CovarianceOfFullSegmentsIsTheOracles) {
  const Csr matrix = test::random_matrix(2100, 120, 77);
  expect_oracle(matrix, options_for(matrix, Hot::by_density), 2000, 1e-6);
  expect_oracle(matrix, options_for(matrix, Hot::all), 2000, 1e-6);
  // Dense genes that nobody said are dense are neither centred nor cut into short runs.
  expect_oracle(matrix, options_for(matrix, Hot::none), 2000, 5e-6);
}

TEST_P(BackendConformance, AnyShiftGivesTheSameCovariance) {
  const Csr matrix = test::random_matrix(100, 40, 4);
  GramOptions options = options_for(matrix, Hot::all);
  for (double& shift : options.shift) shift = -2.5 * shift + 0.3;
  expect_oracle(matrix, options, 50, 2e-6);
  options.shift.clear();
  expect_oracle(matrix, options, 50, 2e-6);
}

TEST_P(BackendConformance, GenesOfVeryDifferentScaleKeepTheirDigits) {
  Csr matrix = test::random_matrix(200, 30, 8);
  std::vector<double> scales(30);
  for (std::size_t g = 0; g < scales.size(); ++g) {
    scales[g] = std::pow(10.0, static_cast<double>(g % 11) - 5);
  }
  for (std::size_t k = 0; k < matrix.values.size(); ++k) {
    matrix.values[k] *= static_cast<float>(scales[static_cast<std::size_t>(matrix.indices[k])]);
  }
  for (const Hot hot : {Hot::none, Hot::all}) {
    const auto gram = backend_->make_gram(options_for(matrix, hot));
    gram->add(matrix.view());
    const GramAccumulator::Covariance found = gram->covariance(matrix.n_rows());
    const test::Oracle expected = test::oracle_of(matrix);
    for (std::size_t i = 0; i < 30; ++i) {
      EXPECT_NEAR(found.means[i], expected.means[i], 1e-6 * scales[i]);
      for (std::size_t j = 0; j < 30; ++j) {
        EXPECT_NEAR(found.matrix[i * 30 + j], expected.covariance[i * 30 + j],
                    1e-6 * scales[i] * scales[j]);
      }
    }
  }
}

TEST_P(BackendConformance, NegativeValuesAndExplicitZerosCount) {
  Csr matrix = test::random_matrix(90, 60, 12);
  for (std::size_t k = 0; k < matrix.values.size(); ++k) {
    if (k % 3 == 0) matrix.values[k] = -matrix.values[k];
    if (k % 7 == 0) matrix.values[k] = 0;
  }
  for (const Hot hot : {Hot::none, Hot::all}) {
    expect_oracle(matrix, options_for(matrix, hot), 40, 1e-6);
  }
}

TEST_P(BackendConformance, TrailingEigenvaluesAreExact) {
  const Csr matrix = test::random_matrix(1500, 200, 21);
  const auto gram = backend_->make_gram(options_for(matrix));
  add_segments(*gram, matrix, 500);
  std::vector<double> found = gram->covariance(matrix.n_rows()).matrix;
  std::vector<double> expected = test::oracle_of(matrix).covariance;
  const EigenPairs a = largest_eigenpairs(found, 200, 190, EigenMethod::lapack);
  const EigenPairs b = largest_eigenpairs(expected, 200, 190, EigenMethod::lapack);
  for (std::size_t c = 0; c < 190; ++c) {
    EXPECT_NEAR(a.values[c] / b.values[c], 1, 1e-7) << "component " << c;
  }
}

TEST_P(BackendConformance, GramIsTheSameBitsInAnyOrderAndAtOnce) {
  const Csr matrix = test::random_matrix(600, 300, 31);
  const GramOptions options = options_for(matrix);
  const auto segment = [&](std::int64_t s) { return matrix.rows(s * 50, s * 50 + 50); };
  const auto forward = backend_->make_gram(options);
  for (std::int64_t s = 0; s < 12; ++s) forward->add(segment(s));
  const auto backward = backend_->make_gram(options);
  for (std::int64_t s = 11; s >= 0; --s) backward->add(segment(s));
  const auto at_once = backend_->make_gram(options);
  Arena arena(4);
  arena.for_each(12, [&](std::int64_t s) { at_once->add(segment(s)); });
  const auto left = backend_->make_gram(options);
  const auto right = backend_->make_gram(options);
  for (std::int64_t s = 0; s < 12; ++s) (s % 3 == 0 ? left : right)->add(segment(s));
  const std::span<std::int64_t> reduced = left->state();
  for (std::size_t i = 0; i < reduced.size(); ++i) reduced[i] += right->state()[i];

  EXPECT_TRUE(std::ranges::equal(forward->state(), backward->state()));
  EXPECT_TRUE(std::ranges::equal(forward->state(), at_once->state()));
  EXPECT_TRUE(std::ranges::equal(forward->state(), left->state()));
  EXPECT_EQ(left->covariance(600).matrix, forward->covariance(600).matrix);
}

TEST_P(BackendConformance, GramOfNoRowsOrNoGenesIsNothing) {
  Csr matrix;
  matrix.n_cols = 5;
  GramOptions options;
  options.max_abs.assign(5, 1.0);
  options.n_cells = 10;
  const auto gram = backend_->make_gram(options);
  gram->add(matrix.view());
  gram->add({{}, {}, {}, 5});
  matrix.add_row({});
  matrix.add_row({});
  gram->add(matrix.view());
  EXPECT_THAT(gram->state(), testing::Each(0));
  EXPECT_THAT(gram->covariance(2).matrix, testing::Each(0.0));

  options.max_abs.clear();
  const auto none = backend_->make_gram(options);
  matrix.n_cols = 0;
  none->add(matrix.view());
  EXPECT_TRUE(none->covariance(2).matrix.empty());
}

TEST_P(BackendConformance, GramRefusesBadValuesAndStaysAsItWas) {
  const Csr good = test::random_matrix(40, 50, 2);
  for (const Hot hot : {Hot::none, Hot::all}) {
    const auto gram = backend_->make_gram(options_for(good, hot));
    gram->add(good.rows(0, 20));
    const std::vector<std::int64_t> before(gram->state().begin(), gram->state().end());
    for (const float bad : {3.3F, -3.3F, std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity()}) {
      Csr matrix = good;
      const auto at = static_cast<std::size_t>(matrix.indptr[30]);
      matrix.values[at] = bad;
      try {
        gram->add(matrix.rows(20, 40));
        FAIL() << bad << " was taken";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Error::Kind::input);
        EXPECT_THAT(error.what(), HasSubstr("row 10, gene " + std::to_string(matrix.indices[at])));
      }
    }
    EXPECT_TRUE(std::ranges::equal(before, gram->state()));
    gram->add(good.rows(20, 40));
    EXPECT_LT(
        test::largest_difference(gram->covariance(40).matrix, test::oracle_of(good).covariance),
        1e-6);
  }
}

TEST_P(BackendConformance, GramRefusesWhatWasNotAnnounced) {
  const Csr matrix = test::random_matrix(40, 6, 2);
  GramOptions options = options_for(matrix);
  const auto gram = backend_->make_gram(options);
  gram->add(matrix.view());
  EXPECT_THROW(gram->add(matrix.view()), Error);  // more cells than announced
  EXPECT_THROW((void)gram->covariance(1), Error);
  CsrView wider = matrix.view();
  wider.n_cols = 7;
  EXPECT_THROW(gram->add(wider), Error);
  Csr long_segment;
  long_segment.n_cols = 6;
  for (int r = 0; r < 2001; ++r) long_segment.add_row({});
  EXPECT_THROW(gram->add(long_segment.view()), Error);
  options.shift.push_back(0);
  EXPECT_THROW((void)backend_->make_gram(options), Error);
  options = options_for(matrix);
  options.max_abs[2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW((void)backend_->make_gram(options), Error);
}

TEST_P(BackendConformance, ManyCellsDontOverflow) {
  GramOptions options;
  options.n_cells = std::int64_t{1} << 33;
  options.max_abs = {7.0};
  options.shift = {7.0};
  options.density = {1.0};
  const auto gram = backend_->make_gram(options);
  Csr matrix;
  matrix.n_cols = 1;
  for (int r = 0; r < 2000; ++r) matrix.add_row({{0, 7.0F}});
  gram->add(matrix.view());
  // What the rest of the cells would add: the state grows in proportion.
  for (const std::int64_t number : gram->state()) {
    EXPECT_LT(std::abs(static_cast<double>(number)) * static_cast<double>(options.n_cells) / 2000,
              0x1p62);
  }
  EXPECT_NEAR(gram->covariance(2000).means[0], 7.0, 1e-6);
}

TEST_P(BackendConformance, GramSaysWhatItHolds) {
  const Csr matrix = test::random_matrix(40, 100, 2);
  const auto gram = backend_->make_gram(options_for(matrix));
  EXPECT_EQ(gram->state().size(), 100U + 100 * 101 / 2);
  EXPECT_GE(gram->state_bytes(), static_cast<std::int64_t>(gram->state().size_bytes()));
  EXPECT_GT(gram->scratch_bytes(), 0);
}

TEST_P(BackendConformance, ProjectionIsTheOracles) {
  for (const std::int32_t k : {1, 15, 16, 17, 80, 81, 300}) {
    const std::int32_t genes = 120;
    const Csr matrix = test::random_matrix(230, genes, 6);  // more than a block of rows
    const CounterRng rng(2, 2);
    std::vector<double> loadings(static_cast<std::size_t>(genes * k));
    std::vector<double> offset(static_cast<std::size_t>(k));
    for (std::size_t i = 0; i < loadings.size(); ++i) loadings[i] = rng.uniform(i) - 0.5;
    for (std::size_t i = 0; i < offset.size(); ++i) offset[i] = rng.uniform(i + 100000);
    const auto projector = backend_->make_projector(loadings, genes, k, offset);
    std::vector<float> out(static_cast<std::size_t>(matrix.n_rows() * k), -99.0F);
    projector->project(matrix.view(), out);
    const std::vector<double> dense = matrix.dense();
    for (std::int64_t r = 0; r < matrix.n_rows(); ++r) {
      for (std::int32_t c = 0; c < k; ++c) {
        double expected = -offset[static_cast<std::size_t>(c)];
        for (std::int32_t g = 0; g < genes; ++g) {
          expected += dense[static_cast<std::size_t>(r * genes + g)] *
                      loadings[static_cast<std::size_t>(g * k + c)];
        }
        EXPECT_NEAR(out[static_cast<std::size_t>(r * k + c)], expected, 2e-5);
      }
    }
  }
}

TEST_P(BackendConformance, ProjectionIsTheSameBitsWhateverRowsComeTogether) {
  const Csr matrix = test::random_matrix(401, 90, 6);
  const CounterRng rng(2, 3);
  std::vector<double> loadings(90 * 40);
  for (std::size_t i = 0; i < loadings.size(); ++i) loadings[i] = rng.uniform(i) - 0.5;
  const std::vector<double> offset(40, 0.25);
  const auto projector = backend_->make_projector(loadings, 90, 40, offset);
  std::vector<float> whole(401 * 40);
  projector->project(matrix.view(), whole);
  std::vector<float> pieces(whole.size());
  std::int64_t begin = 0;
  for (const std::int64_t end : {1, 1, 17, 400, 401}) {
    projector->project(matrix.rows(begin, end),
                       std::span(pieces).subspan(static_cast<std::size_t>(begin * 40),
                                                 static_cast<std::size_t>((end - begin) * 40)));
    begin = end;
  }
  EXPECT_EQ(whole, pieces);
}

TEST_P(BackendConformance, ProjectionRefusesWrongShapes) {
  EXPECT_THROW((void)backend_->make_projector(std::vector<double>(5), 2, 3, {}), Error);
  const std::vector<double> loadings(6, 1.0);
  const std::vector<double> offset(3, 0.0);
  const auto projector = backend_->make_projector(loadings, 2, 3, offset);
  Csr matrix;
  matrix.n_cols = 2;
  matrix.add_row({{0, 1.0F}});
  std::vector<float> out(2);
  EXPECT_THROW(projector->project(matrix.view(), out), Error);
  matrix.n_cols = 3;
  out.resize(3);
  EXPECT_THROW(projector->project(matrix.view(), out), Error);
}

INSTANTIATE_TEST_SUITE_P(Cpu, BackendConformance,
                         testing::Values(CpuLevel::plain, CpuLevel::avx2, CpuLevel::avx512),
                         [](const auto& info) { return cpu_level_name(info.param); });

TEST(CpuLevels, BestIsOneThatThisProcessorHas) {
  EXPECT_TRUE(cpu_has(resolve_cpu_level(CpuLevel::best)));
  EXPECT_NE(resolve_cpu_level(CpuLevel::best), CpuLevel::best);
  for (const CpuLevel level : {CpuLevel::avx2, CpuLevel::avx512}) {
    if (!cpu_has(level)) {
      EXPECT_THROW((void)make_cpu_backend(level), Error);
    }
  }
}

}  // namespace
}  // namespace cellmill
