#include "cellmill/train/tokenizer.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <set>
#include <vector>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const TokenDraws draws(7, 1, 3);

/// Genes a to f: d has no median, e no token at all.
std::shared_ptr<const Vocabulary> dictionary() {
  const double none = std::numeric_limits<double>::quiet_NaN();
  return std::make_shared<const Vocabulary>(Vocabulary{{"<pad>", "<mask>", "a", "b", "c", "d", "f"},
                                                       {0, 1, 10, 11, 12, 13, 14},
                                                       {none, none, 1, 2, 4, none, 2}});
}

const std::vector<std::string> genes{"a", "b", "c", "d", "e", "f"};

struct Made {
  std::vector<std::int64_t> ids;
  std::vector<float> values;
  std::vector<float> masked;
};

Made made(const Tokenizer& tokenizer, const std::vector<std::int32_t>& columns,
          const std::vector<float>& values, std::uint32_t in_batch = 0) {
  const auto room = static_cast<std::size_t>(tokenizer.max_length());
  Made out{std::vector<std::int64_t>(room), std::vector<float>(room), std::vector<float>(room)};
  const double total = std::accumulate(values.begin(), values.end(), 0.0);
  const auto count = static_cast<std::size_t>(
      tokenizer.tokens({columns, values, total, in_batch}, draws,
                       {out.ids.data(), out.values.data(), out.masked.data()}));
  out.ids.resize(count);
  out.values.resize(count);
  out.masked.resize(count);
  return out;
}

TEST(Geneformer, RanksByCountOverMedianAndPassesOverWhatHasNone) {
  const auto tokenizer = make_tokenizer(GeneformerOptions{dictionary(), 1, {}, {}}, genes);
  // x: a 3, b 4, c 1, f 2.5; d has no median, e no token.
  EXPECT_THAT(made(*tokenizer, {0, 1, 2, 3, 4, 5}, {3, 8, 4, 100, 100, 5}).ids,
              ElementsAre(11, 10, 14, 12));
  EXPECT_TRUE(made(*tokenizer, {}, {}).ids.empty());
  EXPECT_TRUE(made(*tokenizer, {0, 1}, {0, 0}).ids.empty());
  EXPECT_THAT(made(*tokenizer, {0, 1}, {0, 1}).ids, ElementsAre(11));
}

TEST(Geneformer, TiesGoByColumn) {
  const auto tokenizer = make_tokenizer(GeneformerOptions{dictionary(), 1, {}, {}}, genes);
  EXPECT_THAT(made(*tokenizer, {0, 1, 2, 5}, {1, 2, 4, 2}).ids, ElementsAre(10, 11, 12, 14));
}

TEST(Geneformer, LargeCountsAreExact) {
  const auto tokenizer = make_tokenizer(GeneformerOptions{dictionary(), 1, {}, {}}, genes);
  EXPECT_THAT(made(*tokenizer, {0, 1, 2}, {16'777'214, 16'777'216, 63}).ids,
              ElementsAre(10, 11, 12));
}

TEST(Geneformer, Version2HasItsSpecialTokensWithinTheLength) {
  const auto tokenizer = make_tokenizer(GeneformerOptions{dictionary(), 2, 4, {}}, genes);
  // <cls> and <eos> are not in the dictionary: they come after its last token, 14.
  EXPECT_THAT(made(*tokenizer, {0, 1, 2, 5}, {3, 8, 4, 5}).ids, ElementsAre(15, 11, 10, 16));
  EXPECT_THAT(made(*tokenizer, {}, {}).ids, ElementsAre(15, 16));
}

TEST(Geneformer, Version2AddsUpGenesThatShareAnId) {
  const auto shared = std::make_shared<const Vocabulary>(
      Vocabulary{{"<pad>", "a", "b", "c"}, {0, 5, 6, 5}, {NAN, 1, 1, 1}});
  const std::vector<std::string> names{"a", "b", "c"};
  const auto second = make_tokenizer(GeneformerOptions{shared, 2, {}, {}}, names);
  EXPECT_THAT(made(*second, {0, 1, 2}, {2, 3, 2}).ids, ElementsAre(8, 5, 6, 9));
  const auto first = make_tokenizer(GeneformerOptions{shared, 1, {}, {}}, names);
  EXPECT_THAT(made(*first, {0, 1, 2}, {2, 3, 2}).ids, ElementsAre(6, 5, 5));
}

TEST(Geneformer, PercentileCountsDistinctValues) {
  // x: a 2, b 1, c 2, f 4, whose ranks are 2, 1, 2, 3; 67 percent of 3 is 2.01, 66 is 1.98.
  const auto ids = [](double percentile) {
    const auto tokenizer =
        make_tokenizer(GeneformerOptions{dictionary(), 1, {}, percentile}, genes);
    return made(*tokenizer, {0, 1, 2, 5}, {2, 2, 8, 8}).ids;
  };
  EXPECT_THAT(ids(67), ElementsAre(14));
  EXPECT_THAT(ids(66), ElementsAre(14, 10, 12));
  EXPECT_THAT(ids(0), ElementsAre(14, 10, 12, 11));
  EXPECT_THAT(ids(100), ElementsAre(14));
}

TEST(Geneformer, RefusesWhatIsNoCount) {
  const auto tokenizer = make_tokenizer(GeneformerOptions{dictionary(), 1, {}, {}}, genes);
  for (const float value : {0.5F, -1.0F, NAN, INFINITY, -0.25F}) {
    EXPECT_THAT(
        [&] {
          (void)made(*tokenizer, {0, 1}, {1, value});
        },
        ThrowsMessage<Error>(HasSubstr("expected raw counts")))
        << value;
  }
}

TEST(Geneformer, SaysWhatIsWrongWithItsOptions) {
  const auto making = [](const GeneformerOptions& options, const std::vector<std::string>& names) {
    return [=] { (void)make_tokenizer(options, names); };
  };
  EXPECT_THAT(making({dictionary(), 1, {}, {}}, {"ENSG00000000003"}),
              ThrowsMessage<Error>(HasSubstr("Geneformer: none of the 7 is in the data")));
  EXPECT_THAT(making({dictionary(), 1, {}, {}}, {"d"}), ThrowsMessage<Error>(HasSubstr("median")));
  EXPECT_THAT(making({dictionary(), 3, {}, {}}, genes),
              ThrowsMessage<Error>(HasSubstr("version 3 found, expected 1 or 2")));
  EXPECT_THAT(making({dictionary(), 2, 2, {}}, genes),
              ThrowsMessage<Error>(HasSubstr("max_length 2 found, expected 3 or more")));
  EXPECT_THAT(making({dictionary(), 1, {}, 101}, genes),
              ThrowsMessage<Error>(HasSubstr("expected 0 to 100")));
}

std::shared_ptr<const Vocabulary> numbered(std::size_t count) {
  Vocabulary vocabulary;
  for (std::size_t i = 0; i < count; ++i) {
    vocabulary.names.push_back("g" + std::to_string(i));
    vocabulary.ids.push_back(static_cast<std::int32_t>(i));
  }
  return std::make_shared<const Vocabulary>(vocabulary);
}

std::vector<std::int32_t> columns_to(std::size_t count) {
  std::vector<std::int32_t> columns(count);
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

TEST(ScGpt, BinsByQuantilesAndDrawsAmongThoseThatAValueEquals) {
  ScGptOptions options;
  options.vocabulary = numbered(10);
  options.bins = 6;
  const auto tokenizer = make_tokenizer(options, options.vocabulary->names);
  std::set<float> seen;
  for (std::uint32_t row = 0; row < 20; ++row) {
    const Made cell = made(*tokenizer, columns_to(10), {1, 1, 1, 1, 1, 2, 2, 3, 5, 9}, row);
    // <pad>, <cls>, <eoc> come after the last id.
    EXPECT_THAT(cell.ids, ElementsAre(11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    EXPECT_EQ(cell.values[0], 0);
    seen.insert(cell.values.begin() + 1, cell.values.begin() + 6);
    EXPECT_THAT(std::vector<float>(cell.values.begin() + 6, cell.values.end()),
                ElementsAre(3, 3, 4, 4, 5));
  }
  EXPECT_THAT(seen, ElementsAre(1, 2));
}

TEST(ScGpt, BinsOneValueAndEqualValues) {
  ScGptOptions options;
  options.vocabulary = numbered(3);
  options.masking = 0;
  const auto tokenizer = make_tokenizer(options, options.vocabulary->names);
  const float one = made(*tokenizer, {1}, {3}).values[1];
  EXPECT_TRUE(one >= 1 && one <= 50) << one;
  EXPECT_THAT(made(*tokenizer, {0, 1}, {0, 0}).ids, ElementsAre(4));
}

TEST(ScGpt, WithoutBinningValuesComeAsTheyAre) {
  ScGptOptions options;
  options.vocabulary = numbered(3);
  options.bins = std::nullopt;
  const auto tokenizer = make_tokenizer(options, options.vocabulary->names);
  EXPECT_THAT(made(*tokenizer, {0, 1, 2}, {1.5F, 0, 2.5F}).values, ElementsAre(0, 1.5F, 2.5F));
}

TEST(ScGpt, LongCellsKeepARandomPartThatDependsOnTheDraws) {
  ScGptOptions options;
  options.vocabulary = numbered(100);
  options.max_length = 11;
  options.bins = std::nullopt;
  const auto tokenizer = make_tokenizer(options, options.vocabulary->names);
  std::vector<int> times(100, 0);
  for (std::uint32_t row = 0; row < 1000; ++row) {
    const Made cell = made(*tokenizer, columns_to(100), std::vector<float>(100, 2), row);
    ASSERT_EQ(cell.ids.size(), 11);
    EXPECT_EQ(cell.ids[0], 101);
    EXPECT_TRUE(std::is_sorted(cell.ids.begin() + 1, cell.ids.end()));
    for (std::size_t i = 1; i < 11; ++i) ++times[static_cast<std::size_t>(cell.ids[i])];
  }
  // Each gene in one cell of ten: 100 ± 6 standard deviations of √90.
  for (const int n : times) EXPECT_NEAR(n, 100, 57);
  EXPECT_EQ(made(*tokenizer, columns_to(100), std::vector<float>(100, 2), 5).ids,
            made(*tokenizer, columns_to(100), std::vector<float>(100, 2), 5).ids);
}

TEST(ScGpt, MasksAShareOfTheValuesAndNeverTheFirst) {
  ScGptOptions options;
  options.vocabulary = numbered(1000);
  const auto tokenizer = make_tokenizer(options, options.vocabulary->names);
  std::int64_t masked = 0;
  for (std::uint32_t row = 0; row < 100; ++row) {
    const Made cell = made(*tokenizer, columns_to(1000), std::vector<float>(1000, 2), row);
    EXPECT_EQ(cell.masked[0], 0);
    for (std::size_t i = 1; i < cell.ids.size(); ++i) {
      masked += cell.masked[i] == -1 ? 1 : 0;
      EXPECT_TRUE(cell.masked[i] == -1 || cell.masked[i] == cell.values[i]);
    }
  }
  EXPECT_NEAR(static_cast<double>(masked), 15'000, 6 * std::sqrt(100'000 * 0.15 * 0.85));
}

TEST(ScGpt, RefusesWhatIsNoNumber) {
  ScGptOptions options;
  options.vocabulary = numbered(3);
  const auto tokenizer = make_tokenizer(options, options.vocabulary->names);
  EXPECT_THAT([&] { (void)made(*tokenizer, {0}, {NAN}); },
              ThrowsMessage<Error>(HasSubstr("finite")));
  options.bins = 1;
  EXPECT_THAT([&] { (void)make_tokenizer(options, options.vocabulary->names); },
              ThrowsMessage<Error>(HasSubstr("binning 1 found")));
  options.bins = 51;
  options.masking = 1.5;
  EXPECT_THAT([&] { (void)make_tokenizer(options, options.vocabulary->names); },
              ThrowsMessage<Error>(HasSubstr("masking 1.5 found")));
}

TEST(RankValue, GenesComeByValueWithTheirValues) {
  const auto tokenizer = make_tokenizer(RankValueOptions{nullptr, 3}, genes);
  EXPECT_EQ(tokenizer->pad_id(), 6);
  const Made cell = made(*tokenizer, {0, 1, 2, 3, 5}, {0.5F, 2, 0, 2, 1});
  EXPECT_THAT(cell.ids, ElementsAre(1, 3, 5));
  EXPECT_THAT(cell.values, ElementsAre(2, 2, 1));
  EXPECT_THAT(
      made(*make_tokenizer(RankValueOptions{dictionary(), 9}, genes), {0, 4, 5}, {1, 9, 2}).ids,
      ElementsAre(14, 10));
}

}  // namespace
}  // namespace cellmill
