#include "cellmill/anndata/paths.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// A folder of made-up plates; only names matter here.
class Paths : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("paths_" + std::to_string(getpid()) + "_" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void file(const std::string& name, const std::string& text = "") {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  std::string in(const std::string& name) { return (folder_ / name).string(); }
  std::vector<std::string> expanded(const std::vector<std::string>& arguments) {
    std::vector<std::string> names;
    for (const fs::path& path : expand_paths(arguments)) {
      names.push_back(fs::relative(path, folder_).string());
    }
    return names;
  }

  fs::path folder_;
};

TEST(NaturalOrder, CountsRunsOfDigitsAsNumbers) {
  EXPECT_TRUE(natural_less("plate2", "plate10"));
  EXPECT_FALSE(natural_less("plate10", "plate2"));
  EXPECT_TRUE(natural_less("a2b3", "a2b20"));
  EXPECT_TRUE(natural_less("plate", "plate1"));
  EXPECT_TRUE(natural_less("", "a"));
  EXPECT_FALSE(natural_less("", ""));
}

TEST(NaturalOrder, IsStrictForLeadingZerosAndHugeNumbers) {
  EXPECT_TRUE(natural_less("p01", "p1"));
  EXPECT_FALSE(natural_less("p1", "p01"));
  EXPECT_TRUE(natural_less("p01x", "p1y"));
  EXPECT_TRUE(natural_less("9", "123456789012345678901234567890"));
  EXPECT_TRUE(natural_less("p0", "p1"));
}

TEST(NaturalOrder, ComparesBytesOutsideAscii) {
  EXPECT_TRUE(natural_less("plaque", "plate1"));
  EXPECT_TRUE(natural_less("z", "é"));
}

TEST_F(Paths, FolderGivesPlatesInNaturalOrder) {
  for (const char* name : {"plate10.h5ad", "plate2.h5ad", "plate1.h5ad", "notes.txt"}) file(name);
  file("plate3.zarr/zarr.json");
  file("plate4.zarr/.zgroup");
  file("empty.zarr.d/x");
  file(".plate5.h5ad.partial");
  EXPECT_THAT(expanded({folder_.string()}), ElementsAre("plate1.h5ad", "plate2.h5ad", "plate3.zarr",
                                                        "plate4.zarr", "plate10.h5ad"));
}

TEST_F(Paths, ZarrFolderIsOnePlate) {
  file("plate.zarr/.zgroup");
  file("plate.zarr/inner.h5ad");
  EXPECT_THAT(expanded({in("plate.zarr")}), ElementsAre("plate.zarr"));
  EXPECT_EQ(expand_paths(std::vector{in("plate.zarr/")})[0].filename(), "plate.zarr");
}

TEST_F(Paths, GlobGivesMatchesInNaturalOrderAndArgumentsKeepTheirs) {
  for (const char* name : {"plate10.h5ad", "plate2.h5ad", "a.h5ad", "é.h5ad"}) file(name);
  EXPECT_THAT(expanded({in("é.h5ad"), in("plate*.h5ad"), in("a.h5ad")}),
              ElementsAre("é.h5ad", "plate2.h5ad", "plate10.h5ad", "a.h5ad"));
}

TEST_F(Paths, NameWithBracketsThatExistsIsNoGlob) {
  file("plate[1].h5ad");
  EXPECT_THAT(expanded({in("plate[1].h5ad")}), ElementsAre("plate[1].h5ad"));
}

TEST_F(Paths, ListIsRelativeToItselfAndSkipsComments) {
  file("data/plate2.h5ad");
  file("data/plate10.h5ad");
  file("data/list.txt", "# two plates\n\nplate10.h5ad\r\n  plate2.h5ad  \n");
  file("data/all.txt", "plate*.h5ad");
  EXPECT_THAT(expanded({"@" + in("data/list.txt")}),
              ElementsAre("data/plate10.h5ad", "data/plate2.h5ad"));
  EXPECT_THAT(expanded({"@" + in("data/all.txt")}),
              ElementsAre("data/plate2.h5ad", "data/plate10.h5ad"));
}

TEST_F(Paths, NoArgumentsGiveNoPaths) { EXPECT_TRUE(expand_paths({}).empty()); }

TEST_F(Paths, SaysWhatIsNotThere) {
  file("list.txt", "gone.h5ad\n");
  file("none.txt", "# nothing\n");
  const auto expand = [&](const std::string& argument) {
    return [this, argument] { expanded({argument}); };
  };
  EXPECT_THAT(expand(in("plate9.h5ad")), ThrowsMessage<Error>(HasSubstr("plate9.h5ad: no such")));
  EXPECT_THAT(expand(in("x*.h5ad")), ThrowsMessage<Error>(HasSubstr("x*.h5ad: no file matches")));
  EXPECT_THAT(expand("@" + in("absent.txt")), ThrowsMessage<Error>(HasSubstr("no such list")));
  EXPECT_THAT(expand("@" + in("list.txt")),
              ThrowsMessage<Error>(testing::MatchesRegex(".*list.txt: .*gone.h5ad: no such.*")));
  EXPECT_THAT(expand("@" + in("none.txt")), ThrowsMessage<Error>(HasSubstr("names no plates")));
  file("folder/readme.md");
  EXPECT_THAT(expand(in("folder")), ThrowsMessage<Error>(HasSubstr("holds no plates")));
}

TEST_F(Paths, RefusesAPlateNamedTwice) {
  file("plate1.h5ad");
  EXPECT_THAT(
      [&] {
        expanded({folder_.string(), in("plate1.h5ad")});
      },
      ThrowsMessage<Error>(HasSubstr("named twice")));
}

TEST_F(Paths, AZarrArchiveIsAPlate) {
  file("p/plate10.zarr.zip");
  file("p/plate9.zarr.zip");
  file("p/other.zip");
  EXPECT_THAT(expanded({in("p")}), ElementsAre("p/plate9.zarr.zip", "p/plate10.zarr.zip"));
  EXPECT_THAT(expanded({in("p/plate9.zarr.zip")}), ElementsAre("p/plate9.zarr.zip"));
}

TEST_F(Paths, ACollectionIsItsDataSetsInNaturalOrder) {
  const auto node = [](const char* type) {
    return std::string(R"({"zarr_format": 3, "node_type": "group", "attributes": )"
                       R"({"encoding-type": ")") +
           type + "\"}}";
  };
  file("c.zarr/zarr.json", node("annbatch-preshuffled"));
  for (const char* name : {"dataset_0", "dataset_10", "dataset_2"}) {
    file(std::string("c.zarr/") + name + "/zarr.json", node("anndata"));
  }
  const auto all = ElementsAre("c.zarr/dataset_0", "c.zarr/dataset_2", "c.zarr/dataset_10");
  EXPECT_THAT(expanded({in("c.zarr")}), all);
  EXPECT_THAT(expanded({in("c.zarr/")}), all);
  EXPECT_THAT(expanded({folder_.string()}), all);
  EXPECT_THAT(expanded({in("c.zarr/dataset_2")}), ElementsAre("c.zarr/dataset_2"));
  file("empty.zarr/zarr.json", node("annbatch-preshuffled"));
  EXPECT_THAT([&] { expanded({in("empty.zarr")}); },
              ThrowsMessage<Error>(HasSubstr("empty.zarr: the collection holds no data sets")));
}

TEST(PlateLabel, IsTheNameWithoutItsKnownExtension) {
  EXPECT_EQ(plate_label("data/plate1.h5ad"), "plate1");
  EXPECT_EQ(plate_label("data/plate1.zarr/"), "plate1");
  EXPECT_EQ(plate_label("GSE12.plate1.h5ad"), "GSE12.plate1");
  EXPECT_EQ(plate_label("data/plate1.zarr.zip"), "plate1");
  EXPECT_EQ(plate_label("data/plate.v2"), "plate.v2");
}

TEST_F(Paths, MayNameAGenome) {
  file("a.h5");
  file("b.h5");
  EXPECT_THAT(expanded({in("a.h5") + "::mm10", in("a.h5") + "::hg19", in("b.h5")}),
              ElementsAre("a.h5::mm10", "a.h5::hg19", "b.h5"));
  EXPECT_THAT(expanded({in("*.h5") + "::mm10"}), ElementsAre("a.h5::mm10", "b.h5::mm10"));
  EXPECT_THAT(
      [&] {
        expanded({in("a.h5") + "::mm10", in("./a.h5") + "::mm10"});
      },
      ThrowsMessage<Error>(HasSubstr("named twice")));
  EXPECT_THAT([&] { expanded({in("c.h5") + "::mm10"}); },
              ThrowsMessage<Error>(HasSubstr("no such file")));
  EXPECT_EQ(plate_label(in("a.h5") + "::mm10"), "a-mm10");
  EXPECT_EQ(plate_label(in("a.h5")), "a");
}

TEST_F(Paths, AFolderOfMtxIsOnePlate) {
  file("s1/matrix.mtx.gz");
  file("s1/barcodes.tsv.gz");
  EXPECT_THAT(expanded({in("s1/")}), ElementsAre("s1"));
  EXPECT_EQ(plate_label(in("s1")), "s1");
  EXPECT_EQ(plate_label(in("s1_matrix.mtx.gz")), "s1_matrix");
}

TEST_F(Paths, MayHaveColonsOfTheirOwn) {
  file("odd::name.h5ad");
  EXPECT_THAT(expanded({in("odd::name.h5ad")}), ElementsAre("odd::name.h5ad"));
  EXPECT_EQ(split_genome(in("odd::name.h5ad")).genome, "");
  EXPECT_EQ(split_genome(in("odd::name.h5ad") + "::mm10").genome, "mm10");
}

}  // namespace
}  // namespace cellmill
