#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/core/error.hpp"
#include "shared_data.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Strings strings(const std::vector<std::string>& values) { return Strings(values); }

/// Three genes, two cells: the first has gene 2 four times, the second genes 0 and 1 once.
class TenxH5 : public testing::Test {
 protected:
  static void write_matrix(Group& group) {
    write_array<std::int32_t>(group, "data", std::vector<std::int32_t>{4, 1, 1});
    write_array<std::int64_t>(group, "indices", std::vector<std::int64_t>{2, 0, 1});
    write_array<std::int64_t>(group, "indptr", std::vector<std::int64_t>{0, 1, 3});
    write_array<std::int32_t>(group, "shape", std::vector<std::int32_t>{3, 2});
    write_string_array(group, "barcodes", strings({"AAA-1", "CCC-1"}));
  }

  void write_version_3(const std::vector<std::string>& genomes) const {
    const auto root = open_hdf5(path, OpenMode::create);
    const auto matrix = root->create_group("matrix");
    write_matrix(*matrix);
    const auto features = matrix->create_group("features");
    write_string_array(*features, "id", strings({"E0", "E1", "E2"}));
    write_string_array(*features, "name", strings({"A", "A", "C"}));
    write_string_array(*features, "feature_type", strings({"Gene", "Gene", "Antibody"}));
    write_string_array(*features, "genome", strings(genomes));
    write_string_array(*features, "_all_tag_keys", strings({"genome"}));
  }

  void write_version_2(const std::vector<std::string>& genomes) const {
    const auto root = open_hdf5(path, OpenMode::create);
    for (const std::string& genome : genomes) {
      const auto group = root->create_group(genome);
      write_matrix(*group);
      write_string_array(*group, "genes", strings({"E0", "E1", "E2"}));
      write_string_array(*group, "gene_names", strings({genome + "A", "B", "C"}));
    }
  }

  std::string message_of_open(const fs::path& opened, const std::string& genome = "") {
    try {
      (void)AnnData::open(opened, {.genome = genome});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  static void expect_matrix(const AnnData& data) {
    EXPECT_EQ(data.n_obs(), 2);
    EXPECT_EQ(data.n_vars(), 3);
    CsrChunk rows;
    data.x().decode(data.x().fetch({0, 2}), rows);
    EXPECT_THAT(rows.indptr, ElementsAre(0, 1, 3));
    EXPECT_THAT(rows.indices, ElementsAre(2, 0, 1));
    EXPECT_THAT(rows.values, ElementsAre(4, 1, 1));
    EXPECT_THAT(data.obs().index({0, 2}).to_vector(), ElementsAre("AAA-1", "CCC-1"));
  }

  TempFolder folder;
  fs::path path = folder.path() / "tenx.h5";
};

TEST_F(TenxH5, Version3IsCellsByFeatures) {
  write_version_3({"hg", "hg", ""});
  const auto data = AnnData::open(path);
  expect_matrix(*data);
  EXPECT_THAT(data->var().index({0, 3}).to_vector(), ElementsAre("A", "A", "C"));
  EXPECT_THAT(data->var().read("gene_ids", {0, 3}).strings.to_vector(),
              ElementsAre("E0", "E1", "E2"));
  EXPECT_THAT(data->var().read("feature_types", {1, 3}).strings.to_vector(),
              ElementsAre("Gene", "Antibody"));
  EXPECT_THAT(data->var().read("genome", {0, 1}).strings.to_vector(), ElementsAre("hg"));
  EXPECT_EQ(data->var().columns().size(), 3U);
  EXPECT_THAT(data->obs().columns(), IsEmpty());
}

TEST_F(TenxH5, ProbesKeepTheirGenesAndOtherColumns) {
  write_version_3({"hg", "hg", "hg"});
  {
    const auto root = open_hdf5(path, OpenMode::update);
    const auto features = root->group("matrix/features");
    write_string_array(*features, "gene_id", strings({"G0", "G0", "G2"}));
    write_array<bool>(*features, "filtered_probes", std::array{true, false, true});
    write_array<std::int32_t>(*features, "other_length", std::vector<std::int32_t>{1, 2});
    write_array<bool>(*root->group("matrix"), "filtered_barcodes", std::array{false, true});
  }
  const auto data = AnnData::open(path);
  std::vector<std::string> names;
  for (const ColumnInfo& column : data->var().columns()) names.push_back(column.name);
  EXPECT_THAT(names,
              ElementsAre("gene_ids", "probe_ids", "feature_types", "filtered_probes", "genome"));
  EXPECT_EQ(data->var().read("gene_ids", {1, 2}).strings[0], "G0");
  EXPECT_EQ(data->var().read("probe_ids", {1, 2}).strings[0], "E1");
  EXPECT_THAT(data->obs().read("filtered_barcodes", {0, 2}).integers, ElementsAre(0, 1));
}

TEST_F(TenxH5, Version3TakesTheNameOfItsOnlyGenome) {
  write_version_3({"hg", "hg", "hg"});
  expect_matrix(*AnnData::open(path, {.genome = "hg"}));
  EXPECT_THAT(message_of_open(path, "mm"), HasSubstr("'mm' asked for, the features are of: hg"));
}

TEST_F(TenxH5, Version3GivesTheFeaturesOfOneOfItsGenomes) {
  write_version_3({"hg", "mm", "hg"});
  {
    const auto root = open_hdf5(path, OpenMode::update);
    write_array<bool>(*root->group("matrix/features"), "filtered_probes",
                      std::array{true, true, false});
    write_array<std::int32_t>(*root->group("matrix/features"), "length",
                              std::vector<std::int32_t>{5, 6, 7});
  }
  const auto human = AnnData::open(path.string() + "::hg");
  EXPECT_EQ(human->n_obs(), 2);
  EXPECT_THAT(human->var().index({0, 2}).to_vector(), ElementsAre("A", "C"));
  EXPECT_THAT(human->var().read("gene_ids", {0, 2}).strings.to_vector(), ElementsAre("E0", "E2"));
  EXPECT_THAT(human->var().read("filtered_probes", {0, 2}).integers, ElementsAre(1, 0));
  EXPECT_EQ(human->var().column("filtered_probes").dtype, DType::boolean);
  EXPECT_THAT(human->var().read("length", {0, 2}).integers, ElementsAre(5, 7));
  EXPECT_EQ(human->x().dtype(), DType::int32);
  CsrChunk rows;
  human->x().decode(human->x().fetch({0, 2}), rows);
  EXPECT_THAT(rows.indptr, ElementsAre(0, 1, 2));
  EXPECT_THAT(rows.indices, ElementsAre(1, 0));
  EXPECT_THAT(rows.values, ElementsAre(4, 1));

  const auto mouse = AnnData::open(path, {.genome = "mm"});
  EXPECT_EQ(mouse->n_vars(), 1);
  mouse->x().decode(mouse->x().fetch({0, 2}), rows);
  EXPECT_THAT(rows.indptr, ElementsAre(0, 0, 1));
  EXPECT_THAT(message_of_open(path, "rn"),
              HasSubstr("'rn' asked for, the features are of: hg, mm"));
  EXPECT_EQ(AnnData::open(path)->n_vars(), 3);
}

TEST_F(TenxH5, FewerGenomesThanFeaturesAreAnErrorWhereOneIsChosen) {
  write_version_3({"hg", "mm"});
  EXPECT_THAT(message_of_open(path, "hg"), HasSubstr("2 elements found, expected 3"));
}

TEST_F(TenxH5, Version2WithOneGenomeNeedsNoName) {
  write_version_2({"hg19"});
  const auto data = AnnData::open(path);
  expect_matrix(*data);
  EXPECT_EQ(data->var().index({0, 1})[0], "hg19A");
  EXPECT_EQ(data->var().read("gene_ids", {0, 1}).strings[0], "E0");
}

TEST_F(TenxH5, OneOfSeveralGenomesIsChosenByThePathOrAnOption) {
  write_version_2({"hg19", "mm10"});
  const auto by_path = AnnData::open(path.string() + "::mm10");
  expect_matrix(*by_path);
  EXPECT_EQ(by_path->var().index({0, 1})[0], "mm10A");
  EXPECT_EQ(AnnData::open(path, {.genome = "hg19"})->var().index({0, 1})[0], "hg19A");
  EXPECT_THAT(message_of_open(path),
              testing::AllOf(HasSubstr("several genomes"), HasSubstr("hg19, mm10"),
                             HasSubstr("tenx.h5::hg19")));
  EXPECT_THAT(message_of_open(path, "rn6"), HasSubstr("no genome 'rn6'"));
}

TEST_F(TenxH5, AGenomeOfAnAnnDataIsRefused) {
  {
    const auto root = open_hdf5(path, OpenMode::create);
    root->create_group("obs");
    root->create_group("var");
  }
  EXPECT_THAT(message_of_open(path, "hg19"), HasSubstr("no 10x .h5 file"));
}

TEST(TenxH5Files, PublishedOnesOpen) {
  for (const auto& [name, cells, genes] :
       {std::tuple{"1.2.0/filtered_gene_bc_matrices_h5.h5", 12, 343},
        {"3.0.0/filtered_feature_bc_matrix.h5", 1107, 507},
        {"visium/1.0.0/filtered_feature_bc_matrix.h5", 100, 100},
        {"visium/2.1.0/raw_probe_bc_matrix.h5", 4987, 1000}}) {
    CELLMILL_SHARED_FILE(path, std::string("tenx/") + name);
    const auto data = AnnData::open(path);
    EXPECT_EQ(data->n_obs(), cells) << name;
    EXPECT_EQ(data->n_vars(), genes) << name;
    EXPECT_GT(data->x().nnz(), 0) << name;
  }
}

}  // namespace
}  // namespace cellmill
