#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "anndata/views/mtx_to_csr.hpp"
#include "cellmill/anndata/anndata.hpp"
#include "cellmill/core/error.hpp"
#include "shared_data.hpp"
#include "storage/codecs.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// Three genes and two cells in a folder.
class TenxMtx : public testing::Test {
 protected:
  void SetUp() override {
    write("matrix.mtx",
          "%%MatrixMarket matrix coordinate integer general\n%a comment\n3 2 3\n3 1 4\n1 2 1\n"
          "2 2 1\n");
    write("barcodes.tsv", "AAA-1\nCCC-1\n");
    write("features.tsv", "E0\tA\tGene\nE1\tA\tGene\nE2\tC\tAntibody\textra\n");
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder.path() / name, std::ios::binary) << text;
  }
  void write_gzip(const std::string& name, const std::string& text) const {
    const Bytes bytes = deflate_gzip(std::as_bytes(std::span(text)), 4);
    write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  void rename(const std::string& from, const std::string& to) const {
    fs::rename(folder.path() / from, folder.path() / to);
  }

  std::string message_of_open() {
    try {
      (void)AnnData::open(folder.path())->x();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::string message_with_matrix(const std::string& text) {
    write("matrix.mtx", text);
    return message_of_open();
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

  static constexpr const char* banner = "%%MatrixMarket matrix coordinate integer general\n";
  TempFolder folder;
};

TEST_F(TenxMtx, Version3HasNamesIdsAndTypes) {
  const auto data = AnnData::open(folder.path());
  expect_matrix(*data);
  EXPECT_THAT(data->var().index({0, 3}).to_vector(), ElementsAre("A", "A", "C"));
  EXPECT_THAT(data->var().columns(), SizeIs(2));
  EXPECT_EQ(data->var().read("gene_ids", {1, 2}).strings[0], "E1");
  EXPECT_EQ(data->var().read("feature_types", {2, 3}).strings[0], "Antibody");
  EXPECT_EQ(data->root().format(), StoreFormat::mtx);
}

TEST_F(TenxMtx, Version2HasGenes) {
  fs::remove(folder.path() / "features.tsv");
  write("genes.tsv", "E0\tA\nE1\tB\nE2\tC\n");
  const auto data = AnnData::open(folder.path().string() + "/");
  expect_matrix(*data);
  EXPECT_EQ(data->var().index({1, 2})[0], "B");
  EXPECT_THAT(data->var().columns(), SizeIs(1));
}

TEST_F(TenxMtx, MayBeGzipAndHavePrefixes) {
  for (const char* name : {"matrix.mtx", "barcodes.tsv", "features.tsv"}) {
    std::ifstream file(folder.path() / name);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    write_gzip(std::string("s1_") + name + ".gz", text);
    fs::remove(folder.path() / name);
  }
  expect_matrix(*AnnData::open(folder.path() / "s1_matrix.mtx.gz"));
  EXPECT_NE(message_of_open(), "no error");
}

TEST_F(TenxMtx, EntriesMayBeInAnyOrder) {
  write("matrix.mtx", std::string(banner) + "3 2 3\n2 2 1\n3 1 4\n1 2 1\n");
  expect_matrix(*AnnData::open(folder.path()));
}

TEST_F(TenxMtx, ValuesMayBeRealOrLeftOut) {
  write("matrix.mtx", "%%MatrixMarket matrix coordinate real general\n3 2 2\n1 1 1.5e0\n2 2 -2\n");
  CsrChunk rows;
  const auto real = AnnData::open(folder.path());
  real->x().decode(real->x().fetch({0, 2}), rows);
  EXPECT_THAT(rows.values, ElementsAre(1.5, -2));
  write("matrix.mtx", "%%matrixmarket MATRIX coordinate pattern general\r\n3 2 1\r\n\r\n1 2\r\n");
  const auto pattern = AnnData::open(folder.path());
  pattern->x().decode(pattern->x().fetch({0, 2}), rows);
  EXPECT_THAT(rows.indptr, ElementsAre(0, 0, 1));
  EXPECT_THAT(rows.values, ElementsAre(1));
}

TEST_F(TenxMtx, AnEmptyMatrixHasNames) {
  write("matrix.mtx", std::string(banner) + "3 2 0\n");
  const auto data = AnnData::open(folder.path());
  EXPECT_EQ(data->x().nnz(), 0);
  EXPECT_EQ(data->n_obs(), 2);
}

TEST_F(TenxMtx, WhatIsWrongIsToldWithItsLine) {
  const std::string head(banner);
  EXPECT_THAT(message_with_matrix(head + "3 2 3\n3 1 4\n4 2 1\n2 2 1\n"),
              HasSubstr("matrix.mtx: line 4: '4 2 1' found, expected a row from 1 to 3"));
  EXPECT_THAT(message_with_matrix(head + "3 2 1\n3 1 x\n"), HasSubstr("line 3: '3 1 x' found"));
  EXPECT_THAT(message_with_matrix(head + "3 2 1\n3 1\n"), HasSubstr("line 3"));
  EXPECT_THAT(message_with_matrix(head + "3 2 1\n0 1 1\n"), HasSubstr("line 3"));
  EXPECT_THAT(message_with_matrix(head + "3 2 2\n3 1 1\n"),
              HasSubstr("1 entries found, expected 2"));
  EXPECT_THAT(message_with_matrix(head + "3 2 1\n3 1 1\n1 1 1\n"),
              HasSubstr("more entries found, expected 1"));
  EXPECT_THAT(message_with_matrix(head + "3 2\n"), HasSubstr("line 2: '3 2' found"));
  EXPECT_THAT(message_with_matrix(head), HasSubstr("ends before its sizes"));
  EXPECT_THAT(message_with_matrix("%%MatrixMarket matrix array real general\n3 2\n1\n"),
              HasSubstr("matrix array real general"));
  EXPECT_THAT(message_with_matrix("%%MatrixMarket matrix coordinate real symmetric\n3 2 0\n"),
              HasSubstr("symmetric"));
  EXPECT_THAT(message_with_matrix(head + "3 7 0\n"), HasSubstr("7 columns found, expected 2"));
  EXPECT_THAT(message_with_matrix(head + "9 2 0\n"),
              HasSubstr("9 rows found, expected 3, as many as features.tsv"));
}

TEST_F(TenxMtx, MissingTablesAreNamed) {
  fs::remove(folder.path() / "barcodes.tsv");
  EXPECT_THAT(message_of_open(), HasSubstr("barcodes.tsv[.gz]"));
  write("barcodes.tsv", "AAA-1\nCCC-1\n");
  write("features.tsv", "E0\tA\tGene\nE1\n");
  EXPECT_THAT(message_of_open(), HasSubstr("features.tsv: line 2: 1 columns found, expected 3"));
}

/// The same entries in order and not, sorted in parts of different sizes, give the same matrix.
TEST(MtxToCsr, OrderAndSizeOfThePartsMakeNoDifference) {
  const TempFolder folder;
  std::mt19937 random(3);
  std::vector<std::string> lines;
  for (int cell = 1; cell <= 300; ++cell) {
    for (int gene = 1; gene <= 50; ++gene) {
      if (cell % 7 != 0 && random() % 4 == 0) {
        lines.push_back(fmt::format("{} {} {}\n", gene, cell, random() % 9 + 1));
      }
    }
  }
  const auto write = [&](const char* name) {
    std::ofstream file(folder.path() / name);
    file << "%%MatrixMarket matrix coordinate integer general\n50 300 " << lines.size() << "\n";
    for (const std::string& line : lines) file << line;
    return folder.path() / name;
  };
  const auto read = [&](const fs::path& path, std::int64_t sorted_at_once) {
    const ScratchCsr csr =
        mtx_to_csr(path, "m", 300, {.scratch = folder.path(), .sorted_at_once = sorted_at_once});
    EXPECT_EQ(csr.n_rows, 300);
    EXPECT_EQ(csr.n_cols, 50);
    const auto indptr = read_all<std::int64_t>(*open_scratch_array(csr.indptr));
    const auto indices = read_all<std::int32_t>(*open_scratch_array(csr.indices));
    const auto values = read_all<float>(*open_scratch_array(csr.data));
    std::vector<std::tuple<std::int64_t, std::int32_t, float>> entries;
    for (std::size_t row = 0; row + 1 < indptr.size(); ++row) {
      for (auto k = indptr[row]; k < indptr[row + 1]; ++k) {
        const auto at = static_cast<std::size_t>(k);
        entries.emplace_back(row, indices[at], values[at]);
      }
    }
    std::ranges::sort(entries);  // within a row any order is right
    return entries;
  };
  const auto expected = read(write("sorted.mtx"), 1'000);
  EXPECT_EQ(expected.size(), lines.size());
  std::ranges::shuffle(lines, random);
  const fs::path shuffled = write("shuffled.mtx");
  for (const std::int64_t at_once : {1, 13, 1'000, 1'000'000}) {
    EXPECT_EQ(read(shuffled, at_once), expected) << at_once;
  }
}

TEST(TenxMtxFiles, PublishedOnesOpen) {
  for (const auto& [name, cells, genes] : {std::tuple{"int-ids", 5, 6},
                                           {"1.2.0/filtered_gene_bc_matrices/hg19_chr21", 12, 343},
                                           {"3.0.0/filtered_feature_bc_matrix", 1107, 507}}) {
    CELLMILL_SHARED_FILE(path, std::string("tenx/") + name);
    const auto data = AnnData::open(path);
    EXPECT_EQ(data->n_obs(), cells) << name;
    EXPECT_EQ(data->n_vars(), genes) << name;
    EXPECT_GT(data->x().nnz(), 0) << name;
  }
}

}  // namespace
}  // namespace cellmill
