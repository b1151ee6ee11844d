#include "cellmill/storage/scratch_array.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;

class ScratchArrayTest : public testing::Test {
 protected:
  TempFolder folder_;
  std::shared_ptr<ScratchFile> file_ = std::make_shared<ScratchFile>(folder_.path());
};

TEST_F(ScratchArrayTest, NumbersComeBackOverBlocks) {
  ScratchArrayWriter<std::int64_t> writer(file_, "s: x");
  ScratchArrayWriter<float> beside(file_, "s: y");
  for (std::int64_t i = 0; i < 150'000; ++i) {
    writer.append(3 * i);
    beside.append(0.5F);
  }
  const auto array = open_scratch_array(writer.finish());
  EXPECT_EQ(array->info().location, "s: x");
  EXPECT_THAT(array->info().shape, ElementsAre(150'000));
  EXPECT_THAT(read_range<std::int64_t>(*array, {65'535, 65'537}), ElementsAre(196'605, 196'608));
  EXPECT_THAT(read_range<std::int32_t>(*array, {149'999, 150'000}), ElementsAre(449'997));
  EXPECT_EQ(read_all<float>(*open_scratch_array(beside.finish())).size(), 150'000U);
}

TEST_F(ScratchArrayTest, ElementsOfAnyTypeComeBackOverBlocks) {
  ScratchElementsWriter writer(file_, "s: x", DType::uint16);
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const auto value = static_cast<std::uint16_t>(i % 65'521);
    writer.append(reinterpret_cast<const std::byte*>(&value));
  }
  const auto array = open_scratch_array(writer.finish());
  EXPECT_EQ(array->info().dtype, DType::uint16);
  EXPECT_THAT(array->info().shape, ElementsAre(100'000));
  EXPECT_THAT(read_range<std::int32_t>(*array, {65'519, 65'522}), ElementsAre(65'519, 65'520, 0));
  EXPECT_THAT(ScratchElementsWriter(file_, "s: none", DType::boolean).finish()->info.shape,
              ElementsAre(0));
}

TEST_F(ScratchArrayTest, StringsComeBackOverBlocks) {
  ScratchStringsWriter writer(file_, "s: names");
  for (int i = 0; i < 40'000; ++i) writer.append(i % 7 == 0 ? "" : "cell é" + std::to_string(i));
  EXPECT_EQ(writer.size(), 40'000);
  const auto array = open_scratch_array(writer.finish());
  EXPECT_THAT(array->read_strings({16'383, 16'386}).to_vector(),
              ElementsAre("cell é16383", "cell é16384", "cell é16385"));
  EXPECT_EQ(array->read_strings({0, 40'000})[39'999], "cell é39999");
  EXPECT_EQ(array->read_strings({7, 8})[0], "");
  EXPECT_TRUE(array->read_strings({5, 5}).empty());
  EXPECT_THROW((void)array->read_strings({39'999, 40'001}), Error);
  EXPECT_THROW((void)read_all<float>(*array), Error);
}

TEST_F(ScratchArrayTest, MayBeEmpty) {
  const auto numbers = open_scratch_array(ScratchArrayWriter<std::int32_t>(file_, "x").finish());
  EXPECT_TRUE(read_all<std::int32_t>(*numbers).empty());
  const auto strings = open_scratch_array(ScratchStringsWriter(file_, "x").finish());
  EXPECT_TRUE(strings->read_strings({0, 0}).empty());
}

}  // namespace
}  // namespace cellmill
