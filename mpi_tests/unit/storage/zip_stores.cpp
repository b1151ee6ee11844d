#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "shared_data.hpp"
#include "storage/zip_store.hpp"
#include "temp_folder.hpp"
#include "zip_maker.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <class Body>
std::string message_of(Body&& body) {
  try {
    (void)body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input) << error.what();
    return error.what();
  }
  return "no error";
}

constexpr std::int64_t most = 1 << 30;

std::string text_of(const std::optional<Bytes>& bytes) {
  return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : "none";
}

class ZipStores : public testing::Test {
 protected:
  ZipStore open(const std::string& bytes) {
    ZipMaker::write(path_, bytes);
    return ZipStore(path_);
  }
  ZipStore open() { return open(maker_.bytes()); }
  /// What reading the one file of an archive says.
  std::string refusal(const ZipMaker::Member& member) {
    ZipMaker maker;
    maker.add(member);
    return message_of([&] { return open(maker.bytes()).read(member.name, most); });
  }

  TempFolder folder_;
  fs::path path_ = folder_.path() / "a.zarr.zip";
  ZipMaker maker_;
};

TEST_F(ZipStores, GiveStoredAndDeflatedFiles) {
  const std::string text(5000, 'x');
  maker_.add(ZipMaker::stored("a/b", "hello"));
  maker_.add(ZipMaker::deflated("a/c/d", text));
  maker_.add(ZipMaker::stored("a-1/e", ""));
  maker_.add(ZipMaker::stored("empty/", ""));
  for (const bool zip64 : {false, true}) {
    const ZipStore store = open(maker_.bytes(zip64));
    EXPECT_EQ(text_of(store.read("a/b", most)), "hello");
    EXPECT_EQ(text_of(store.read("a/c/d", most)), text);
    EXPECT_EQ(text_of(store.read("a-1/e", most)), "");
    EXPECT_EQ(text_of(store.read("a", most)), "none");
    EXPECT_EQ(store.size("a/c/d"), 5000);
    EXPECT_EQ(store.size("a"), 0);
    EXPECT_TRUE(store.exists("a/c"));
    EXPECT_FALSE(store.exists("a/c/"));
    EXPECT_FALSE(store.exists("a/cc"));
    EXPECT_THAT(store.folders(""), ElementsAre("a", "a-1"));
    EXPECT_THAT(store.folders("a"), ElementsAre("c"));
    EXPECT_EQ(store.open("none"), nullptr);
  }
}

TEST_F(ZipStores, GiveRanges) {
  maker_.add(ZipMaker::stored("s", "0123456789"));
  maker_.add(ZipMaker::deflated("d", "0123456789"));
  const ZipStore store = open();
  for (const char* name : {"s", "d"}) {
    const auto source = store.open(name);
    EXPECT_EQ(source->size(), 10);
    std::array<std::byte, 3> out{};
    source->read(4, out);
    EXPECT_EQ(std::to_integer<char>(out[0]), '4');
    EXPECT_THAT(message_of([&] {
                  source->read(8, out);
                  return 0;
                }),
                HasSubstr("ends at byte 10"));
    EXPECT_THROW(source->read(-1, out), Error);
    EXPECT_THROW(source->read(INT64_MAX, out), Error);
  }
}

TEST_F(ZipStores, TheLastOfARepeatedNameCounts) {
  maker_.add(ZipMaker::stored("a", "first"));
  maker_.add(ZipMaker::deflated("a", "second"));
  maker_.add(ZipMaker::stored("a", "third"));
  EXPECT_EQ(text_of(open().read("a", most)), "third");
}

TEST_F(ZipStores, Zip64SizesAndCommentsAreUnderstood) {
  ZipMaker::Member member = ZipMaker::stored("a", "hello");
  member.zip64 = true;
  maker_.add(member);
  EXPECT_EQ(text_of(open(maker_.bytes(true, 0, "a comment with PK\5\6 in it")).read("a", most)),
            "hello");
}

TEST_F(ZipStores, NamesThatLeadOutAreRefused) {
  for (const char* name : {"/etc/passwd", "../x", "a/../../x", "a\\b", "a/.."}) {
    EXPECT_THAT(refusal(ZipMaker::stored(name, "x")),
                AllOf(HasSubstr("a.zarr.zip: "), HasSubstr(name), HasSubstr("refused")));
  }
  EXPECT_THAT(refusal(ZipMaker::stored("", "x")), HasSubstr("refused"));
  EXPECT_THAT(refusal(ZipMaker::stored(std::string("a\0b", 3), "x")), HasSubstr("a file named"));
  EXPECT_EQ(refusal(ZipMaker::stored("a..b", "x")), "no error");
}

TEST_F(ZipStores, WhatCantBeUnpackedIsNamed) {
  ZipMaker::Member member = ZipMaker::stored("x", "hello");
  member.flags = 1;
  EXPECT_THAT(refusal(member), HasSubstr("a.zarr.zip/x: is encrypted"));
  member.flags = 0;
  member.method = 12;
  EXPECT_THAT(refusal(member), HasSubstr("x: is compressed by zip's method 12"));
  member.method = 0;
  member.crc ^= 1U;
  EXPECT_THAT(refusal(member), HasSubstr("x: crc32 is "));
  member.size = 4;
  EXPECT_THAT(refusal(member), HasSubstr("x: has 5 bytes, expected 4"));
}

TEST_F(ZipStores, MoreThanIsWantedIsNotRead) {
  maker_.add(ZipMaker::stored("x", "hello"));
  const ZipStore store = open();
  EXPECT_EQ(text_of(store.read("x", 5)), "hello");
  EXPECT_THAT(message_of([&] { return store.read("x", 4); }),
              HasSubstr("x: has 5 bytes, expected at most 4"));
}

TEST_F(ZipStores, WhatInflatesToAnotherLengthIsRefused) {
  ZipMaker::Member member = ZipMaker::deflated("x", std::string(100'000, 'x'));
  member.size = 1000;
  EXPECT_THAT(refusal(member), HasSubstr("x: deflate stream decodes to more than the 1000 bytes"));
  member.size = 100'001;
  EXPECT_THAT(refusal(member), HasSubstr("expected 100001"));
  member.size = 1'000'000'000;
  EXPECT_THAT(refusal(member), HasSubstr("which is impossible"));
  member.size = 100'000;
  member.packed.resize(member.packed.size() / 2);
  EXPECT_THAT(refusal(member), HasSubstr("a.zarr.zip/x: "));
}

TEST_F(ZipStores, OffsetsOutsideTheFileAreRefused) {
  ZipMaker::Member member = ZipMaker::stored("x", "hello");
  for (const std::int64_t moved : {1L, 30L, 1'000'000L, INT64_MAX, -1L}) {
    member.moved = moved;
    member.zip64 = true;
    EXPECT_THAT(refusal(member), HasSubstr("corrupt")) << moved;
  }
  maker_.add(ZipMaker::stored("x", "hello"));
  for (const std::int64_t moved : {1L, 100L, 0x7FFFFFFFL}) {
    EXPECT_THAT(message_of([&] { return open(maker_.bytes(false, moved)).read("x", most); }),
                HasSubstr("corrupt"));
  }
  EXPECT_THAT(
      message_of([&] { return open(maker_.bytes(true, INT64_MAX - 1000)).read("x", most); }),
      HasSubstr("corrupt"));
}

TEST_F(ZipStores, EveryTruncationAndEveryFlippedByteIsAnErrorOrTheTruth) {
  maker_.add(ZipMaker::stored("a", "hello"));
  maker_.add(ZipMaker::deflated("b", "hello hello hello hello hello"));
  for (const bool zip64 : {false, true}) {
    const std::string whole = maker_.bytes(zip64);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (const bool cut : {true, false}) {
        std::string bytes = whole;
        if (cut) {
          bytes.resize(i);
        } else {
          bytes[i] = static_cast<char>(~bytes[i]);
        }
        try {
          const ZipStore store = open(bytes);
          (void)store.read("a", most);
          (void)store.read("b", most);
          EXPECT_FALSE(cut) << i;
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), Error::Kind::input) << error.what();
        }
      }
    }
  }
}

/// A Zarr store in a zip archive, as `zip -r` makes it.
void zip_folder(const fs::path& folder, const fs::path& archive) {
  ZipMaker maker;
  int i = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const std::string name = fs::relative(entry.path(), folder).string();
    maker.add(++i % 2 == 0 ? ZipMaker::stored(name, bytes) : ZipMaker::deflated(name, bytes));
  }
  ZipMaker::write(archive, maker.bytes());
}

TEST_F(ZipStores, AreZarrStores) {
  for (const StoreFormat format : {StoreFormat::zarr2, StoreFormat::zarr3}) {
    const TempFolder folder;
    const fs::path store = folder.path() / "s.zarr";
    std::vector<std::int32_t> values(1000);
    std::iota(values.begin(), values.end(), 0);
    {
      const auto root = open_zarr(store, OpenMode::create, format);
      root->set_attributes("", {{"encoding-type", "anndata"}});
      ArraySpec spec;
      spec.dtype = DType::int32;
      spec.shape = {1000};
      spec.chunk_shape = {50};
      if (format == StoreFormat::zarr3) spec.shard_shape = {200};
      root->create_array("X/data", spec)->write_rows(0, std::as_bytes(std::span(values)));
    }
    zip_folder(store, path_);
    const auto root = open_store(path_);
    EXPECT_EQ(root->location(), "a.zarr.zip");
    EXPECT_EQ(root->format(), format);
    EXPECT_EQ(root->attributes()["encoding-type"], "anndata");
    EXPECT_THAT(root->keys(), ElementsAre("X"));
    const auto array = root->array("X/data");
    EXPECT_EQ(array->info().location, "a.zarr.zip: X/data");
    EXPECT_GT(array->encoded_bytes(0), 0);
    std::vector<int> right(4, 0);
    std::vector<std::thread> threads;
    for (int& count : right) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5; ++round) count += read_all<std::int32_t>(*array) == values;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_THAT(right, testing::Each(5));
    EXPECT_THAT(message_of([&] { return open_zarr(path_, OpenMode::update); }),
                HasSubstr("zip archives are only read"));
  }
}

TEST_F(ZipStores, ArchivesOfSomethingElseAreRefused) {
  maker_.add(ZipMaker::stored("readme.txt", "hello"));
  ZipMaker::write(path_, maker_.bytes());
  EXPECT_THAT(message_of([&] { return open_store(path_); }), HasSubstr("is not a Zarr group"));
}

/// Reads all that a store holds; how many arrays that was.
int read_everything(const Group& group) {
  int arrays = 0;
  for (const std::string& name : group.keys()) {
    (void)group.attributes(name);
    if (group.kind(name) == NodeKind::group) {
      arrays += read_everything(*group.group(name));
      continue;
    }
    const auto read = [](const Array& array) {
      const auto& shape = array.info().shape;
      if (array.info().dtype != DType::string) {
        EXPECT_EQ(static_cast<std::int64_t>(read_all<double>(array).size()),
                  element_count(array.info()));
      } else if (shape.size() < 2) {
        (void)array.read_strings({0, element_count(array.info())});
      }
    };
    const auto array = group.array(name);
    for (const std::string& field : array->info().fields) read(*group.field(name, field));
    if (array->info().fields.empty()) read(*array);
    ++arrays;
  }
  return arrays;
}

TEST_F(ZipStores, PublishedOnesAreReadWhole) {
  CELLMILL_SHARED_FILE(pbmc, "pbmc68k_reduced/10x_pbmc68k_reduced.zarr.zip");
  const auto root = open_store(pbmc);
  EXPECT_EQ(root->attributes()["encoding-type"], "anndata");
  EXPECT_EQ(root->array("obs/index")->read_strings({0, 1})[0], "AAAGCCTGGCTAAC-1");
  EXPECT_GT(read_everything(*root), 10);
  for (const char* version : {"v0.7.0", "v0.7.8", "v0.11.4"}) {
    CELLMILL_SHARED_FILE(path,
                         std::string("formats/anndata_archives/") + version + "/adata.zarr.zip");
    EXPECT_GT(read_everything(*open_store(path)), 1) << version;
  }
}

}  // namespace
}  // namespace cellmill
