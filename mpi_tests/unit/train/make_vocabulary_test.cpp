#include "cellmill/train/make_vocabulary.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "cellmill/core/error.hpp"
#include "cellmill/simulate/simulate.hpp"
#include "cellmill/train/dataset.hpp"
#include "cellmill/train/vocabulary.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using Medians = MakeVocabularyOptions::Medians;

class MakeVocabularyTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempFolder>();
    Arena arena(2);
    SimulateOptions options;
    options.plates = 2;
    options.cells = 2'500;
    options.genes = 400;
    options.nnz = 40;
    paths_ = simulate_plates(folder_->path() / "plates", options, arena);
  }
  static void TearDownTestSuite() { folder_.reset(); }

  MakeVocabularyTest() {
    options_.inputs = paths_;
    options_.output = own_.path() / "genes.tsv";
  }
  MakeVocabularySummary make(int threads = 2) {
    Arena arena(threads);
    return make_vocabulary(options_, arena);
  }
  std::string text() const {
    std::ifstream file(options_.output);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  static std::unique_ptr<TempFolder> folder_;
  static std::vector<std::filesystem::path> paths_;
  TempFolder own_;
  MakeVocabularyOptions options_;
};

std::unique_ptr<TempFolder> MakeVocabularyTest::folder_;
std::vector<std::filesystem::path> MakeVocabularyTest::paths_;

/// Scaled counts above 0 of each gene.
std::map<std::string, std::vector<double>> scaled_counts(
    const std::vector<std::filesystem::path>& paths) {
  const auto data = Dataset::open({paths, std::nullopt, {}});
  const std::vector<std::string> names = data->genes().names;
  std::map<std::string, std::vector<double>> values;
  for (std::int32_t source = 0; source < data->n_sources(); ++source) {
    const MatrixSource& x = data->source(source).x();
    CsrChunk chunk;
    x.decode(x.fetch({0, x.n_rows()}), chunk);
    for (std::size_t row = 0; row < static_cast<std::size_t>(chunk.n_rows()); ++row) {
      const auto begin = static_cast<std::size_t>(chunk.indptr[row]);
      const auto end = static_cast<std::size_t>(chunk.indptr[row + 1]);
      double total = 0;
      for (std::size_t i = begin; i < end; ++i) total += static_cast<double>(chunk.values[i]);
      for (std::size_t i = begin; i < end; ++i) {
        values[names[static_cast<std::size_t>(chunk.indices[i])]].push_back(
            static_cast<double>(chunk.values[i]) / total * 1e4);
      }
    }
  }
  return values;
}

TEST_F(MakeVocabularyTest, HasTheMediansOfAllPlatesToTheBit) {
  options_.medians = Medians::nonzero;
  const MakeVocabularySummary summary = make();
  const Vocabulary vocabulary = read_vocabulary(options_.output);
  auto values = scaled_counts(paths_);
  ASSERT_EQ(vocabulary.names.size(), 400);
  std::int32_t without = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    EXPECT_EQ(vocabulary.ids[i], static_cast<std::int32_t>(i));
    std::vector<double>& of = values[vocabulary.names[i]];
    if (of.empty()) {
      EXPECT_TRUE(std::isnan(vocabulary.medians[i]));
      ++without;
      continue;
    }
    std::sort(of.begin(), of.end());
    EXPECT_EQ(vocabulary.medians[i], (of[(of.size() - 1) / 2] + of[of.size() / 2]) / 2);
  }
  EXPECT_GT(without, 0);
  EXPECT_EQ(summary.not_expressed, without);
  EXPECT_EQ(summary.n_cells, 5'000);
  EXPECT_EQ(summary.readings, 2);
}

TEST_F(MakeVocabularyTest, IsTheSameOnAnyNumberOfThreads) {
  options_.medians = Medians::nonzero;
  make(1);
  const std::string one = text();
  options_.if_exists = IfExists::overwrite;
  make(4);
  EXPECT_EQ(text(), one);
}

TEST_F(MakeVocabularyTest, TakesTheGenesThatMostCellsExpress) {
  options_.n_genes = 20;
  const MakeVocabularySummary summary = make();
  const Vocabulary vocabulary = read_vocabulary(options_.output);
  EXPECT_TRUE(vocabulary.medians.empty());
  EXPECT_EQ(summary.readings, 1);
  const auto values = scaled_counts(paths_);
  std::size_t least = values.begin()->second.size() + 5'000;
  for (const std::string& name : vocabulary.names) least = std::min(least, values.at(name).size());
  const std::set<std::string> chosen(vocabulary.names.begin(), vocabulary.names.end());
  ASSERT_EQ(chosen.size(), 20);
  for (const auto& [name, of] : values) {
    if (chosen.count(name) > 0) continue;
    EXPECT_LE(of.size(), least) << name;
  }
}

TEST_F(MakeVocabularyTest, ReadsNothingWhereNothingIsAskedOfTheCounts) {
  EXPECT_EQ(make().readings, 0);
  EXPECT_THAT(text(), testing::StartsWith("gene\ttoken\n"));
}

TEST_F(MakeVocabularyTest, LeavesNothingWhenItFails) {
  options_.filter = "no_such_column > 1";
  EXPECT_THAT([&] { make(); }, ThrowsMessage<Error>(HasSubstr("no_such_column")));
  EXPECT_TRUE(std::filesystem::is_empty(own_.path()));
  options_.filter.reset();
  options_.output = own_.path() / "genes.json";
  EXPECT_THAT([&] { make(); }, ThrowsMessage<Error>(HasSubstr("must end in .tsv")));
  options_.output = own_.path() / "genes.tsv";
  make();
  EXPECT_THAT([&] { make(); }, ThrowsMessage<Error>(HasSubstr("exists already")));
}

}  // namespace
}  // namespace cellmill
