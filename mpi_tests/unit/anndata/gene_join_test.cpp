#include "cellmill/anndata/gene_join.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "cellmill/anndata/write.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Names = std::vector<std::string>;

class GeneJoinTest : public testing::Test {
 protected:
  /// One more source with these genes; a column `symbol` holds them in lower case.
  void add(const Names& genes, const Names& symbols = {}) {
    const std::string name = "plate" + std::to_string(sources.size() + 1) + ".zarr";
    const auto root = open_zarr(folder.path() / name, OpenMode::create);
    write_anndata_root(*root);
    write_index(*create_dataframe(*root, "obs", {}), {});
    const auto var = create_dataframe(
        *root, "var", symbols.empty() ? Names{"length"} : Names{"length", "symbol"});
    write_index(*var, Strings(genes));
    ColumnRows lengths;
    lengths.integers.assign(genes.size(), 7);
    write_column(*var, {"length", ColumnKind::numeric, DType::int64}, lengths);
    if (!symbols.empty()) {
      ColumnRows rows;
      rows.strings = Strings(symbols);
      write_column(*var, {"symbol", ColumnKind::string, DType::string}, rows);
    }
    sources.push_back(AnnData::open(folder.path() / name));
  }

  [[nodiscard]] std::vector<const AnnData*> pointers() const {
    std::vector<const AnnData*> all;
    for (const auto& source : sources) all.push_back(source.get());
    return all;
  }
  [[nodiscard]] JoinedGenes join(const std::optional<std::string>& key = {}) const {
    return join_genes(pointers(), key);
  }
  template <class Call>
  static std::string message_of(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  TempFolder folder;
  std::vector<std::unique_ptr<AnnData>> sources;
};

TEST_F(GeneJoinTest, TheFirstSourcesOrderThenWhatOthersAdd) {
  add({"b", "a", "é"});
  add({"é", "c", "a"});
  const JoinedGenes joined = join();
  EXPECT_THAT(joined.names, ElementsAre("b", "a", "é", "c"));
  EXPECT_THAT(joined.in_sources, ElementsAre(1, 2, 2, 1));
  EXPECT_THAT(joined.place, ElementsAre(ElementsAre(0, 1, 2), ElementsAre(2, 3, 1)));
}

TEST_F(GeneJoinTest, InnerKeepsWhatAllHaveAndOuterWhatAnyHas) {
  add({"b", "a", "é"});
  add({"é", "c", "a"});
  const JoinedGenes joined = join();
  EXPECT_THAT(kept_genes(joined, GeneJoin::inner), ElementsAre(1, 2));
  EXPECT_THAT(kept_genes(joined, GeneJoin::outer), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(gene_slots(joined, kept_genes(joined, GeneJoin::inner)),
              ElementsAre(ElementsAre(-1, 0, 1), ElementsAre(1, -1, 0)));
}

TEST_F(GeneJoinTest, EqualListsHaveEqualPlaces) {
  for (int i = 0; i < 3; ++i) add({"x", "y"});
  const JoinedGenes joined = join();
  EXPECT_THAT(joined.in_sources, ElementsAre(3, 3));
  EXPECT_THAT(joined.place, testing::Each(ElementsAre(0, 1)));
}

TEST_F(GeneJoinTest, AColumnMayNameTheGenes) {
  add({"id1", "id2"}, {"B", "A"});
  add({"id3", "id4"}, {"A", "B"});
  EXPECT_THAT(join("symbol").names, ElementsAre("B", "A"));
  EXPECT_THAT(join().names, ElementsAre("id1", "id2", "id3", "id4"));
  EXPECT_THAT(message_of([&] { (void)join("length"); }),
              HasSubstr("a column of names is expected"));
}

TEST_F(GeneJoinTest, NamesThatRepeatAreRefusedWhereSeveralJoin) {
  add({"x", "y", "x"});
  const JoinedGenes alone = join();
  EXPECT_THAT(alone.place, ElementsAre(ElementsAre(0, 1, 2)));
  EXPECT_THAT(alone.warning, HasSubstr("plate1.zarr: var: gene names that occur more than once"));
  add({"x"});
  EXPECT_THAT(message_of([&] { (void)join(); }), HasSubstr("--gene-key"));
}

TEST_F(GeneJoinTest, NothingInCommonIsAnErrorOfAnInnerJoinOnly) {
  add({"x"});
  add({"y"});
  const JoinedGenes joined = join();
  EXPECT_THAT(message_of([&] { check_join(joined, pointers(), GeneJoin::inner); }),
              HasSubstr("plate1 has e.g. x, plate2 has e.g. y"));
  EXPECT_NO_THROW(check_join(joined, pointers(), GeneJoin::outer));
}

}  // namespace
}  // namespace cellmill
