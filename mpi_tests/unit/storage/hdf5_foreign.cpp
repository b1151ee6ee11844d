#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "temp_folder.hpp"

// Files that others make: filters, types and layouts that our own writer has not.

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr hsize_t count = 1000;

/// A file of one dataset `x`: 0, 1, 2, … of a type, by libhdf5 itself.
class Foreign {
 public:
  Foreign() : creation(H5Pcreate(H5P_DATASET_CREATE)), file_creation(H5Pcreate(H5P_FILE_CREATE)) {}

  void chunked(hsize_t size) const { H5Pset_chunk(creation, 1, &size); }

  void write(hid_t type) const {
    const hid_t file = H5Fcreate(path().c_str(), H5F_ACC_TRUNC, file_creation, H5P_DEFAULT);
    const hsize_t size = count;
    const hid_t space = H5Screate_simple(1, &size, nullptr);
    const hid_t dataset = H5Dcreate2(file, "x", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    std::vector<double> values(count);
    std::iota(values.begin(), values.end(), 0.0);
    if (dataset >= 0) {
      H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
      H5Dclose(dataset);
    }
    H5Sclose(space);
    H5Fclose(file);
  }

  [[nodiscard]] std::unique_ptr<Array> open() const { return open_hdf5(path())->array("x"); }
  [[nodiscard]] fs::path path() const { return folder.path() / "foreign.h5"; }

  void expect_counting() const {
    std::vector<double> expected(count);
    std::iota(expected.begin(), expected.end(), 0.0);
    EXPECT_EQ(read_all<double>(*open()), expected);
    for (const Range range : {Range{333, 777}, Range{0, 10}, Range{310, 320}, Range{990, 1000}}) {
      EXPECT_EQ(read_range<double>(*open(), range),
                std::vector<double>(expected.begin() + range.begin, expected.begin() + range.end));
    }
  }

  TempFolder folder;
  hid_t creation;
  hid_t file_creation;
};

template <class Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ForeignHdf5, FiltersAreUndone) {
  Foreign foreign;
  foreign.chunked(300);
  H5Pset_shuffle(foreign.creation);
  H5Pset_deflate(foreign.creation, 6);
  H5Pset_fletcher32(foreign.creation);
  foreign.write(H5T_STD_I32LE);
  EXPECT_EQ(foreign.open()->info().codecs, "shuffle+gzip(6)+fletcher32");
  foreign.expect_counting();
}

TEST(ForeignHdf5, ChecksumsMayComeBeforeCompression) {
  Foreign foreign;
  foreign.chunked(301);  // an odd number of bytes of int8 would be, too
  H5Pset_fletcher32(foreign.creation);
  H5Pset_deflate(foreign.creation, 1);
  foreign.write(H5T_IEEE_F64LE);
  foreign.expect_counting();
}

TEST(ForeignHdf5, WrongChecksumsAreErrors) {
  Foreign foreign;
  foreign.chunked(count);
  H5Pset_fletcher32(foreign.creation);
  foreign.write(H5T_STD_I32LE);
  const EncodedChunk chunk = foreign.open()->fetch(0);
  EncodedChunk damaged;
  damaged.own({chunk.bytes.begin(), chunk.bytes.end()});
  damaged.offset = chunk.offset;
  damaged.owned[17] ^= std::byte{4};
  std::vector<std::byte> out(count * 4);
  foreign.open()->decode(chunk, out);
  const auto array = foreign.open();
  EXPECT_THAT(message_of([&] { array->decode(damaged, out); }),
              AllOf(HasSubstr("foreign.h5: x, chunk 0 (bytes "), HasSubstr("fletcher32 checksum")));
}

TEST(ForeignHdf5, FiltersThatWereSkippedAreNotUndone) {
  Foreign foreign;
  foreign.chunked(500);
  H5Pset_shuffle(foreign.creation);
  H5Pset_deflate(foreign.creation, 4);
  foreign.write(H5T_STD_I32LE);
  const hid_t file = H5Fopen(foreign.path().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t dataset = H5Dopen2(file, "x", H5P_DEFAULT);
  std::vector<std::int32_t> raw(500);
  std::iota(raw.begin(), raw.end(), 500);
  const hsize_t corner = 500;
  H5Dwrite_chunk(dataset, H5P_DEFAULT, 3, &corner, raw.size() * 4, raw.data());
  H5Dclose(dataset);
  H5Fclose(file);
  EXPECT_EQ(foreign.open()->fetch(1).filter_mask, 3U);
  foreign.expect_counting();
}

TEST(ForeignHdf5, LzfIsUndoneByUsAndThroughLibhdf5) {
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);  // which only libhdf5 converts
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  constexpr int lzf = 32000;
  for (const hid_t type : {H5T_IEEE_F32LE, half}) {
    Foreign foreign;
    foreign.chunked(count);
    // Libhdf5 refuses to create with a filter that only decodes, as ours, but not with an unknown
    // one.
    if (H5Zfilter_avail(lzf) > 0) H5Zunregister(lzf);
    H5Pset_filter(foreign.creation, lzf, H5Z_FLAG_OPTIONAL, 0, nullptr);
    foreign.write(type);
    EXPECT_EQ(foreign.open()->info().codecs, "lzf");
    // Nobody here compresses with it: literals, 32 at a time behind the byte 31, are LZF too.
    const hid_t file = H5Fopen(foreign.path().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t dataset = H5Dopen2(file, "x", H5P_DEFAULT);
    const std::size_t bytes = count * H5Tget_size(type);
    std::vector<double> values(count);
    std::iota(values.begin(), values.end(), 0.0);
    H5Tconvert(H5T_NATIVE_DOUBLE, type, count, values.data(), nullptr, H5P_DEFAULT);
    const auto* plain = reinterpret_cast<const char*>(values.data());
    std::string packed;
    for (std::size_t at = 0; at < bytes; at += 32) {
      const std::size_t run = std::min<std::size_t>(32, bytes - at);
      packed += static_cast<char>(run - 1);
      packed.append(plain + at, run);
    }
    const hsize_t corner = 0;
    H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, &corner, packed.size(), packed.data());
    H5Dclose(dataset);
    H5Fclose(file);
    foreign.expect_counting();
  }
}

TEST(ForeignHdf5, UnknownFiltersAreNamed) {
  Foreign foreign;
  foreign.chunked(500);
  H5Pset_scaleoffset(foreign.creation, H5Z_SO_INT, 0);
  foreign.write(H5T_STD_I32LE);
  const std::unique_ptr<Array> array = foreign.open();
  EXPECT_EQ(array->info().codecs, "scaleoffset");
  EXPECT_THAT(message_of([&] { (void)read_all<double>(*array); }),
              HasSubstr("the HDF5 filter scaleoffset (6) is not supported"));
}

TEST(ForeignHdf5, EveryByteOrderAndWidthIsRead) {
  for (const hid_t type : {H5T_STD_I16BE, H5T_STD_I32BE, H5T_STD_I64BE, H5T_STD_U16LE,
                           H5T_STD_U32BE, H5T_STD_U64LE, H5T_IEEE_F32BE, H5T_IEEE_F64BE}) {
    Foreign contiguous;
    contiguous.write(type);
    contiguous.expect_counting();
    Foreign chunked;
    chunked.chunked(300);
    H5Pset_deflate(chunked.creation, 4);
    chunked.write(type);
    chunked.expect_counting();
  }
}

TEST(ForeignHdf5, TypesThatNeedConvertingAreConverted) {
  Foreign foreign;
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  foreign.write(half);
  EXPECT_EQ(foreign.open()->info().dtype, DType::float32);
  foreign.expect_counting();
}

TEST(ForeignHdf5, CompactAndExternalDataIsRead) {
  Foreign compact;
  H5Pset_layout(compact.creation, H5D_COMPACT);
  compact.write(H5T_STD_I32LE);
  compact.expect_counting();
  Foreign external;
  H5Pset_external(external.creation, (external.folder.path() / "raw.bin").c_str(), 0, count * 8);
  external.write(H5T_IEEE_F64LE);
  external.expect_counting();
}

TEST(ForeignHdf5, BytesInFrontOfTheFileAreAllowed) {
  for (const bool in_chunks : {false, true}) {
    Foreign foreign;
    H5Pset_userblock(foreign.file_creation, 512);
    if (in_chunks) foreign.chunked(300);
    foreign.write(H5T_STD_I32LE);
    foreign.expect_counting();
  }
}

TEST(ForeignHdf5, FillValuesAreRead) {
  Foreign foreign;
  foreign.chunked(300);
  const std::int16_t fill = -7;
  H5Pset_fill_value(foreign.creation, H5T_NATIVE_INT16, &fill);
  const hid_t file = H5Fcreate(foreign.path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t size = count;
  const hid_t space = H5Screate_simple(1, &size, nullptr);
  H5Dclose(H5Dcreate2(file, "x", H5T_STD_I16BE, space, H5P_DEFAULT, foreign.creation, H5P_DEFAULT));
  H5Dclose(H5Dcreate2(file, "late", H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Sclose(space);
  H5Fclose(file);
  EXPECT_EQ(read_all<std::int32_t>(*foreign.open()), std::vector<std::int32_t>(count, -7));
  EXPECT_EQ(read_all<std::int32_t>(*open_hdf5(foreign.path())->array("late")),
            std::vector<std::int32_t>(count, 0));
}

TEST(ForeignHdf5, StringsOfFixedLengthAreRead) {
  const TempFolder folder;
  const fs::path path = folder.path() / "strings.h5";
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t size = 3;
  const hid_t space = H5Screate_simple(1, &size, nullptr);
  const auto write = [&](const char* name, H5T_str_t pad, const std::string& bytes) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 4);
    H5Tset_strpad(type, pad);
    const hid_t dataset =
        H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data());
    H5Dclose(dataset);
    H5Tclose(type);
  };
  write("padded", H5T_STR_NULLPAD,
        std::string("ab\0\0", 4) + std::string("\xC3\xBC\0\0", 4) + "wxyz");
  write("blank", H5T_STR_SPACEPAD, "a b c       ");
  H5Sclose(space);
  H5Fclose(file);
  const auto root = open_hdf5(path);
  EXPECT_THAT(root->array("padded")->read_strings({0, 3}).to_vector(),
              testing::ElementsAre("ab", "ü", "wxyz"));
  EXPECT_THAT(root->array("blank")->read_strings({0, 3}).to_vector(),
              testing::ElementsAre("a b", "c", ""));
}

TEST(ForeignHdf5, StringsOfFixedLengthInChunksAreRead) {
  const TempFolder folder;
  const fs::path path = folder.path() / "strings.h5";
  {
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const std::array<hsize_t, 2> shape = {5, 3};
    const std::array<hsize_t, 2> chunk = {2, 2};
    const hid_t space = H5Screate_simple(2, shape.data(), nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 2, chunk.data());
    H5Pset_deflate(creation, 4);
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 2);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Pset_fill_value(creation, type, "--");
    for (const char* name : {"written", "never"}) {
      const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
      if (std::string(name) == "written") {
        H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, "a1b1c1a2b2c2a3b3c3a4b4c4a5b5c\0");
      }
      H5Dclose(dataset);
    }
    H5Tclose(type);
    H5Pclose(creation);
    H5Sclose(space);
    H5Fclose(file);
  }
  const auto root = open_hdf5(path);
  const auto array = root->array("written");
  EXPECT_THAT(array->read_strings({0, 5}).to_vector(),
              testing::ElementsAre("a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3", "a4", "b4",
                                   "c4", "a5", "b5", "c"));
  EXPECT_THAT(array->read_strings({3, 5}).to_vector(),
              testing::ElementsAre("a4", "b4", "c4", "a5", "b5", "c"));
  EXPECT_THROW((void)array->read_strings({0, 6}), Error);
  EXPECT_THROW((void)array->fetch(0), Error);
  EXPECT_THAT(root->array("never")->read_strings({4, 5}).to_vector(),
              testing::ElementsAre("--", "--", "--"));
}

TEST(ForeignHdf5, ReferencesAndEmptyAttributesAreRead) {
  Foreign foreign;
  foreign.write(H5T_STD_I32LE);
  const hid_t file = H5Fopen(foreign.path().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  hobj_ref_t reference = 0;
  H5Rcreate(&reference, file, "x", H5R_OBJECT, -1);
  const hid_t scalar = H5Screate(H5S_SCALAR);
  const hid_t pointer =
      H5Acreate2(file, "categories", H5T_STD_REF_OBJ, scalar, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(pointer, H5T_STD_REF_OBJ, &reference);
  const hid_t empty = H5Screate(H5S_NULL);
  const hid_t nothing =
      H5Acreate2(file, "nothing", H5T_IEEE_F32LE, empty, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t table = H5Tcreate(H5T_COMPOUND, 4);
  H5Tinsert(table, "a", 0, H5T_STD_I32LE);
  const hid_t odd = H5Acreate2(file, "odd", table, scalar, H5P_DEFAULT, H5P_DEFAULT);
  for (const hid_t attribute : {pointer, nothing, odd}) H5Aclose(attribute);
  H5Tclose(table);
  H5Sclose(scalar);
  H5Sclose(empty);
  H5Fclose(file);
  const nlohmann::json expected = {{"categories", "/x"}, {"nothing", nullptr}};
  EXPECT_EQ(open_hdf5(foreign.path())->attributes(), expected);
}

TEST(ForeignHdf5, ManyChunksAreFoundInLittleTime) {
  Foreign foreign;
  foreign.chunked(1);
  const hsize_t chunks = 20'000;
  const hid_t file = H5Fcreate(foreign.path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t space = H5Screate_simple(1, &chunks, nullptr);
  const hid_t dataset =
      H5Dcreate2(file, "x", H5T_STD_I32LE, space, H5P_DEFAULT, foreign.creation, H5P_DEFAULT);
  for (hsize_t i = 0; i < chunks; ++i) {
    const auto value = static_cast<std::int32_t>(i);
    H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, &i, 4, &value);
  }
  H5Dclose(dataset);
  H5Sclose(space);
  H5Fclose(file);
  // Seconds, if each were found by a walk over all.
  const auto values = read_all<std::int32_t>(*foreign.open());
  ASSERT_EQ(values.size(), chunks);
  EXPECT_EQ(values.back(), 19'999);
  EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
}

}  // namespace
}  // namespace cellmill
