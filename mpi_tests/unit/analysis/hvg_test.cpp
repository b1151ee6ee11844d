#include "cellmill/analysis/hvg.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<int> chosen(const HvgResult& result) {
  std::vector<int> genes;
  for (std::size_t g = 0; g < result.highly_variable.size(); ++g) {
    if (result.highly_variable[g]) genes.push_back(static_cast<int>(g));
  }
  return genes;
}

template <class T>
void expect_near(const std::vector<T>& found, const std::vector<double>& expected, double error) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(found[i])) << i << ": " << found[i];
    } else {
      EXPECT_NEAR(found[i], expected[i], error * std::max(1.0, std::abs(expected[i]))) << i;
    }
  }
}

/// Thirteen genes: the first empty, the tenth and eleventh alone in their bins.
GeneMoments small_table() {
  return {100,
          {0, 0.02, 0.05, 0.11, 0.12, 0.3, 0.5, 0.55, 0.9, 1.5, 6.0, 0.08, 0.25},
          {0, 0.03, 0.05, 0.3, 0.11, 0.9, 0.45, 2.0, 0.8, 9.0, 30., 0.1, 0.2}};
}

HvgOptions seurat(std::int32_t n_top_genes, std::int32_t n_bins = 20) {
  return {HvgFlavor::seurat, n_top_genes, n_bins, EmptyGenes::keep};
}
HvgOptions cell_ranger(std::int32_t n_top_genes) {
  return {HvgFlavor::cell_ranger, n_top_genes, 20, EmptyGenes::keep};
}

// The expected numbers of the first two tests came out of scanpy 1.12.4's own functions.
TEST(Hvg, SeuratAgreesWithScanpy) {
  const HvgResult result = highly_variable_genes(small_table(), seurat(4, 5));
  expect_near(result.means,
              {9.999999999995e-13, 0.019802627296179712, 0.04879016416943201, 0.10436001532424277,
               0.11332868530700317, 0.26236426446749106, 0.4054651081081644, 0.4382549309311553,
               0.6418538861723948, 0.9162907318741551, 1.9459101490553132, 0.07696104113612832,
               0.22314355131420976},
              1e-14);
  expect_near(result.dispersions,
              {kNan, 0.4054651081081644, 0.0, 1.0033021088637848, -0.08701137698962969,
               1.0986122886681098, -0.10536051565782628, 1.2909841813155658, -0.11778303565638339,
               1.791759469228055, 1.6094379124341003, 0.22314355131420976, -0.2231435513142097},
              1e-14);
  expect_near(result.dispersions_norm,
              {kNan, 0.11390082685052556, -0.6597035006395033, 1.2545397663541218,
               -0.8257162510192159, 1.4363861597330787, -0.5696630736343541, 1.1546665711214381,
               -0.5850034974870841, 1.0, 1.0, -0.2339583169081438, -1.0854486843708628},
              1e-7);
  EXPECT_THAT(chosen(highly_variable_genes(small_table(), seurat(3, 5))), ElementsAre(3, 5, 7));
}

TEST(Hvg, CellRangerAgreesWithScanpy) {
  GeneMoments moments{50, {}, {}};
  for (int i = 0; i < 80; ++i) {
    const double mean = 0.1 + 0.05 * i;
    moments.mean.push_back(mean);
    moments.variance.push_back(mean * (1 + 0.2 * ((i * 7) % 11) + 0.01 * i));
  }
  const HvgResult result = highly_variable_genes(moments, cell_ranger(6));
  const std::vector<std::pair<std::size_t, double>> expected = {
      {0, -1.2565091314136694},  {1, 0.27741110693548526},  {4, 0.0924703689784951},
      {8, -0.5293463862298364},  {17, 1.8783258866219978},  {40, 0.14514336396624536},
      {63, -0.8196331141623273}, {79, -0.14514336396624536}};
  for (const auto& [gene, norm] : expected) {
    EXPECT_NEAR(result.dispersions_norm[gene], norm, 1e-6) << gene;
  }
  EXPECT_THAT(chosen(result), ElementsAre(9, 17, 25, 53, 61, 69));
}

TEST(Hvg, AGeneAloneInItsBinHasNormalisedDispersionOne) {
  const HvgResult result = highly_variable_genes({9, {0.7}, {2.0}}, seurat(1));
  EXPECT_EQ(result.dispersions_norm, std::vector<float>{1.0F});
  EXPECT_THAT(chosen(result), ElementsAre(0));
}

TEST(Hvg, TiesWithTheLastGeneAreAllTaken) {
  // Genes 9 and 10 are alone in their bins, so both have 1.
  EXPECT_THAT(chosen(highly_variable_genes(small_table(), seurat(4, 5))),
              ElementsAre(3, 5, 7, 9, 10));
}

TEST(Hvg, MoreGenesAskedForThanHaveADispersionTakesThose) {
  const HvgResult result = highly_variable_genes(small_table(), seurat(2000, 5));
  EXPECT_THAT(chosen(result), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
}

TEST(Hvg, EqualMeansShareOneBin) {
  const HvgResult result = highly_variable_genes({9, {2, 2, 2}, {2, 4, 8}}, seurat(1));
  expect_near(result.dispersions_norm, {-1, 0, 1}, 1e-6);
  EXPECT_THAT(chosen(result), ElementsAre(2));
}

TEST(Hvg, MeansThatDifferByTheLastBitStayInABin) {
  const double next = std::nextafter(2.0, 3.0);
  const HvgResult result = highly_variable_genes({9, {2, next, 2}, {2, 4, 8}}, cell_ranger(3));
  EXPECT_EQ(result.means.size(), 3U);
  EXPECT_NO_THROW((void)highly_variable_genes({9, {2, next, 2}, {2, 4, 8}}, seurat(3)));
}

TEST(Hvg, GenesThatDoNotVaryTogetherAreNeverChosen) {
  // Same dispersion throughout: 0 / 0.
  const HvgResult result = highly_variable_genes({9, {2, 2}, {4, 4}}, seurat(1));
  expect_near(result.dispersions_norm, {kNan, kNan}, 0);
  EXPECT_TRUE(chosen(result).empty());
}

TEST(Hvg, OnlyEmptyGenesGiveNoChoice) {
  EXPECT_TRUE(chosen(highly_variable_genes({9, {0, 0}, {0, 0}}, seurat(1))).empty());
  EXPECT_EQ(highly_variable_genes({9, {}, {}}, seurat(1)).means.size(), 0U);
}

TEST(Hvg, CellRangerCountsEqualPercentilesOnce) {
  // More than half the genes are empty: percentiles 10 to 50 are the same.
  GeneMoments moments{9, std::vector<double>(24, 0.0), std::vector<double>(24, 0.0)};
  for (int i = 0; i < 16; ++i) {
    moments.mean.push_back(1 + i / 2 * 0.25);
    moments.variance.push_back(i % 2 == 0 ? 1 : 9);
  }
  const HvgResult result = highly_variable_genes(moments, cell_ranger(4));
  for (std::size_t g = 24; g < 40; ++g) {
    EXPECT_NEAR(result.dispersions_norm[g], g % 2 == 0 ? -0.67449F : 0.67449F, 1e-5) << g;
  }
}

TEST(Hvg, DroppedEmptyGenesComeOutAsZerosAndChangeNothingElse) {
  GeneMoments moments = small_table();
  HvgOptions options = seurat(3, 5);
  options.empty_genes = EmptyGenes::drop;
  const HvgResult with = highly_variable_genes(moments, options);
  moments.mean.erase(moments.mean.begin());
  moments.variance.erase(moments.variance.begin());
  const HvgResult without = highly_variable_genes(moments, options);
  EXPECT_EQ(with.means[0], 0);
  EXPECT_EQ(with.dispersions[0], 0);
  EXPECT_EQ(with.dispersions_norm[0], 0);
  EXPECT_FALSE(with.highly_variable[0]);
  EXPECT_TRUE(std::equal(without.means.begin(), without.means.end(), with.means.begin() + 1));
  EXPECT_TRUE(std::equal(without.dispersions_norm.begin(), without.dispersions_norm.end(),
                         with.dispersions_norm.begin() + 1));
}

TEST(Hvg, RefusesWhatHasNoVariance) {
  try {
    (void)highly_variable_genes({1, {2}, {kNan}}, seurat(1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input);
    EXPECT_STREQ(error.what(),
                 "highly variable genes: 1 cells, at least 2 are needed for a variance");
  }
}

TEST(Hvg, RefusesMomentsThatAreNotFinite) {
  const double infinite = std::numeric_limits<double>::infinity();
  EXPECT_THROW((void)highly_variable_genes({9, {1, kNan}, {1, 1}}, seurat(1)), Error);
  EXPECT_THROW((void)highly_variable_genes({9, {1, 1}, {1, infinite}}, seurat(1)), Error);
  EXPECT_THROW((void)highly_variable_genes({9, {1, -2}, {1, 1}}, seurat(1)), Error);
  EXPECT_THROW((void)highly_variable_genes({9, {1, 1}, {1}}, seurat(1)), Error);
  EXPECT_THROW((void)highly_variable_genes({9, {1}, {1}}, seurat(0)), Error);
  EXPECT_THROW((void)highly_variable_genes({9, {1}, {1}}, seurat(1, 0)), Error);
}

TEST(Hvg, FlavorsHaveNames) {
  EXPECT_EQ(parse_hvg_flavor("cell_ranger"), HvgFlavor::cell_ranger);
  EXPECT_EQ(hvg_flavor_name(parse_hvg_flavor("seurat")), "seurat");
  EXPECT_THROW((void)parse_hvg_flavor("Seurat"), Error);
}

TEST(MergeHvg, AveragesOverTheBatchesThatHaveANumber) {
  const std::vector<HvgResult> batches = {
      {{1, 2, 0}, {1, kNan, kNan}, {0.5F, 1.5F, static_cast<float>(kNan)}, {true, true, false}},
      {{3, 4, 0}, {2, 5, kNan}, {1.0F, 2.5F, static_cast<float>(kNan)}, {true, false, false}}};
  const MergedHvg merged = merge_hvg(batches);
  expect_near(merged.means, {2, 3, 0}, 0);
  expect_near(merged.dispersions, {1.5, 5, kNan}, 0);
  expect_near(merged.dispersions_norm, {0.75, 2, kNan}, 0);
  EXPECT_THAT(merged.n_batches, ElementsAre(2, 1, 0));
  EXPECT_THAT(merged.intersection, ElementsAre(true, false, false));
}

TEST(MergeHvg, OneBatchIsItself) {
  const HvgResult batch = highly_variable_genes(small_table(), seurat(3, 5));
  const MergedHvg merged = merge_hvg(std::span(&batch, 1));
  EXPECT_EQ(merged.means, batch.means);
  EXPECT_EQ(merged.intersection, batch.highly_variable);
}

TEST(MergeHvg, RefusesBatchesOfDifferentGenes) {
  const std::vector<HvgResult> batches = {{{1}, {1}, {1}, {true}},
                                          {{1, 2}, {1, 2}, {1, 2}, {true, false}}};
  EXPECT_THROW((void)merge_hvg(batches), Error);
  EXPECT_TRUE(merge_hvg({}).means.empty());
}

}  // namespace
}  // namespace cellmill
