#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class Hdf5File : public testing::Test {
 protected:
  std::unique_ptr<Group> create() { return open_hdf5(path, OpenMode::create); }

  void write_numbers(const std::string& codec) {
    const std::vector<float> values(100'000, 1.5F);
    ArraySpec spec;
    spec.shape = {100'000};
    spec.chunk_shape = {10'000};
    spec.codec = codec;
    create()->create_array("X/data", spec)->write_rows(0, std::as_bytes(std::span(values)));
  }

  template <class Body>
  static Error error_of(Body&& body) {
    try {
      body();
    } catch (const Error& error) {
      return error;
    }
    return usage_error("no error");
  }

  TempFolder folder;
  fs::path path = folder.path() / "plate.h5ad";
};

TEST_F(Hdf5File, AttributesComeBack) {
  const json attributes = {{"encoding-type", "anndata"},
                           {"ordered", true},
                           {"shape", {3, 4}},
                           {"flags", {true, false}},
                           {"column-order", {"ü", "", "b"}},
                           {"nothing", nullptr},
                           {"weights", {0.5, 2}},
                           {"size", 5},
                           {"tiny", 1e-300},
                           {"none", json::array()}};
  create()->set_attributes("", attributes);
  EXPECT_EQ(open_hdf5(path)->attributes(), attributes);
}

TEST_F(Hdf5File, AttributesAreReplacedByThoseOfAnotherType) {
  const auto root = create();
  root->set_attributes("", {{"a", "text"}, {"b", 1}});
  root->set_attributes("", {{"a", {1.5, 2.5}}});
  EXPECT_EQ(root->attributes(), (json{{"a", {1.5, 2.5}}, {"b", 1}}));
}

TEST_F(Hdf5File, ThousandsOfColumnsFitAnAttribute) {
  std::vector<std::string> columns;
  for (int i = 0; i < 20'000; ++i) columns.push_back("gene_score_" + std::to_string(i));
  create()->create_group("obs")->set_attributes("", {{"column-order", columns}});
  EXPECT_EQ(open_hdf5(path)->attributes("obs")["column-order"].get<std::vector<std::string>>(),
            columns);
}

TEST_F(Hdf5File, AttributesWithoutAnHdf5FormAreRefused) {
  EXPECT_THAT(error_of([&] {
                create()->set_attributes("", {{"odd", {1, "a"}}});
              }).what(),
              HasSubstr("attribute odd"));
}

TEST_F(Hdf5File, NodesAreFoundByPath) {
  {
    const auto root = create();
    root->create_group("obs/__categories");
    write_scalar(*root, "obs/n", 3.0);
  }
  const auto group = open_hdf5(path);
  EXPECT_EQ(group->kind("obs"), NodeKind::group);
  EXPECT_EQ(group->kind("obs/n"), NodeKind::array);
  EXPECT_EQ(group->kind("obs/none/deeper"), NodeKind::none);
  EXPECT_EQ(group->kind("none"), NodeKind::none);
  EXPECT_EQ(group->kind(""), NodeKind::group);
  EXPECT_THAT(group->group("obs")->keys(), testing::ElementsAre("__categories", "n"));
  EXPECT_EQ(group->location(), "plate.h5ad");
  EXPECT_EQ(group->group("obs")->location(), "plate.h5ad: obs");
  EXPECT_EQ(group->group("obs")->array("n")->info().location, "plate.h5ad: obs/n");
}

TEST_F(Hdf5File, MissingAndMistakenElementsAreNamed) {
  create()->create_group("obs");
  const auto root = open_hdf5(path);
  const Error absent = error_of([&] { (void)root->array("X/data"); });
  EXPECT_EQ(absent.kind(), Error::Kind::missing);
  EXPECT_STREQ(absent.what(), "plate.h5ad: X/data: there is no such element");
  const Error mistaken = error_of([&] { (void)root->array("obs"); });
  EXPECT_EQ(mistaken.kind(), Error::Kind::input);
  EXPECT_STREQ(mistaken.what(), "plate.h5ad: obs: is a group, expected an array");
  EXPECT_EQ(error_of([&] { (void)root->attributes("var"); }).kind(), Error::Kind::missing);
}

TEST_F(Hdf5File, ElementsAreMadeOnce) {
  const auto root = create();
  root->create_group("obs");
  write_scalar(*root, "uns/n", 1.0);
  EXPECT_STREQ(error_of([&] { (void)root->create_group("obs"); }).what(),
               "plate.h5ad: obs: exists already");
  EXPECT_EQ(error_of([&] { write_scalar(*root, "uns/n", 1.0); }).kind(), Error::Kind::input);
}

TEST_F(Hdf5File, FilesThatArentThereOrNoHdf5AreNamed) {
  EXPECT_EQ(error_of([&] { (void)open_hdf5(path); }).kind(), Error::Kind::not_found);
  std::ofstream(path) << "gene,cell,count\n";
  const Error text = error_of([&] { (void)open_hdf5(path); });
  EXPECT_EQ(text.kind(), Error::Kind::input);
  EXPECT_THAT(text.what(), HasSubstr("plate.h5ad: not an HDF5 file"));
  EXPECT_EQ(error_of([&] { (void)open_hdf5(folder.path()); }).kind(), Error::Kind::input);
  EXPECT_EQ(error_of([&] { (void)create(); }).kind(), Error::Kind::input);
  std::ofstream(folder.path() / "empty.h5ad").close();
  EXPECT_EQ(error_of([&] { (void)open_hdf5(folder.path() / "empty.h5ad"); }).kind(),
            Error::Kind::input);
}

TEST_F(Hdf5File, TruncatedFilesSaySo) {
  for (const char* codec : {"gzip", "none"}) {
    write_numbers(codec);
    const auto whole = static_cast<std::int64_t>(fs::file_size(path));
    fs::resize_file(path, static_cast<std::uintmax_t>(whole - 100));
    const Error error = error_of([&] { (void)read_all<float>(*open_hdf5(path)->array("X/data")); });
    EXPECT_EQ(error.kind(), Error::Kind::input);
    EXPECT_THAT(error.what(), HasSubstr("plate.h5ad: the file is truncated"));
    fs::remove(path);
  }
}

TEST_F(Hdf5File, AFileMayBeUpdated) {
  write_numbers("gzip");
  {
    const auto root = open_hdf5(path, OpenMode::update);
    const std::vector<float> values(10'000, -2.0F);
    root->open_writer("X/data")->write_rows(20'000, std::as_bytes(std::span(values)));
    write_scalar(*root, "later", std::int64_t{7});
    EXPECT_EQ(read_range<float>(*root->array("X/data"), {29'999, 30'001}),
              (std::vector<float>{-2.0F, 1.5F}));
  }
  const auto root = open_hdf5(path);
  EXPECT_EQ(read_range<float>(*root->array("X/data"), {19'999, 20'001}),
            (std::vector<float>{1.5F, -2.0F}));
  EXPECT_EQ(read_all<std::int64_t>(*root->array("later")), std::vector<std::int64_t>{7});
}

TEST_F(Hdf5File, StringsAreWrittenInBlocks) {
  std::vector<std::string> values;
  for (int i = 0; i < 50'000; ++i) values.push_back(i % 7 == 0 ? "ß" : "cell" + std::to_string(i));
  ArraySpec spec;
  spec.dtype = DType::string;
  spec.shape = {50'000};
  {
    const auto writer = create()->create_array("names", spec);
    writer->write_strings(0, Strings(std::span(values).first(30'001)));
    writer->write_strings(30'001, Strings(std::span(values).subspan(30'001)));
    EXPECT_THROW(writer->write_strings(49'999, Strings(std::span(values).first(2))), Error);
    EXPECT_THROW(writer->write_rows(0, std::vector<std::byte>(4)), Error);
  }
  EXPECT_EQ(open_hdf5(path)->array("names")->read_strings({0, 50'000}).to_vector(), values);
}

TEST_F(Hdf5File, UnknownCodecsAreRefused) {
  ArraySpec spec;
  spec.shape = {4};
  spec.codec = "brotli";
  EXPECT_THAT(error_of([&] { (void)create()->create_array("x", spec); }).what(),
              HasSubstr("HDF5 has no codec 'brotli'"));
}

/// No file of this process may grow beyond `bytes`, as on a full disk, while this lives.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) : before_signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, before_signal_);
  }

 private:
  rlimit before_{};
  void (*before_signal_)(int);
};

TEST_F(Hdf5File, AWriteThatFailsIsToldAndTheFileStillCloses) {
  const std::vector<float> values(100'000, 1.5F);
  ArraySpec spec;
  spec.shape = {100'000};
  spec.codec = "none";
  const auto root = create();
  const auto writer = root->create_array("X/data", spec);
  {
    const SmallDisk disk(100'000);
    const Error error = error_of([&] { writer->write_rows(0, std::as_bytes(std::span(values))); });
    EXPECT_EQ(error.kind(), Error::Kind::io);
    EXPECT_THAT(error.what(), HasSubstr("plate.h5ad: can't be written: File too large"));
  }
  // Once something is lost the file stays failed, and says so to whoever would commit it.
  EXPECT_THAT(error_of([&] { root->flush(); }).what(), HasSubstr("File too large"));
}

TEST_F(Hdf5File, FailedMetadataAreToldAtTheLatestByFlush) {
  const auto root = create();
  const SmallDisk disk(0);
  const Error error = error_of([&] {
    for (int i = 0; i < 1000; ++i) root->create_group("group" + std::to_string(i));
    root->flush();
  });
  EXPECT_EQ(error.kind(), Error::Kind::io);
}

}  // namespace
}  // namespace cellmill
