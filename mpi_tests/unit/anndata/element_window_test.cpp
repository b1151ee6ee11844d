#include "anndata/element_window.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "cellmill/storage/group.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

/// 0, 1, 2, … in chunks of so many elements.
class ElementWindowTest : public testing::TestWithParam<std::int64_t> {
 protected:
  ElementWindowTest() {
    std::vector<std::int32_t> values(count);
    std::iota(values.begin(), values.end(), 0);
    const auto root = open_hdf5(folder_.path() / "a.h5", OpenMode::create);
    ArraySpec spec;
    spec.dtype = DType::int32;
    spec.shape = {count};
    spec.chunk_shape = {GetParam()};
    spec.codec = "gzip";
    root->create_array("a", spec)->write_rows(0, std::as_bytes(std::span(values)));
  }

  static std::vector<std::int32_t> taken(ElementWindow& window, Range wanted) {
    std::vector<std::int32_t> found(static_cast<std::size_t>(wanted.size()));
    const std::byte* const from = window.elements(wanted);
    if (!found.empty()) std::memcpy(found.data(), from, found.size() * sizeof(std::int32_t));
    return found;
  }

  static std::vector<std::int32_t> expected(Range wanted) {
    std::vector<std::int32_t> values(static_cast<std::size_t>(wanted.size()));
    std::iota(values.begin(), values.end(), static_cast<std::int32_t>(wanted.begin));
    return values;
  }

  static constexpr std::int64_t count = 100;
  TempFolder folder_;
};

TEST_P(ElementWindowTest, RowsOfAnyLengthComeOneBehindTheOther) {
  const auto array = open_store(folder_.path() / "a.h5")->array("a");
  const FetchedRange fetched = fetch_range(*array, {3, 97});
  RawVector<std::byte> room;
  ElementWindow window(*array, fetched, room);
  std::int64_t at = 3;
  for (const std::int64_t length : {1, 0, 2, 30, 0, 0, 5, 17, 1, 38}) {
    EXPECT_EQ(taken(window, {at, at + length}), expected({at, at + length}));
    at += length;
  }
  EXPECT_EQ(at, 97);
}

TEST_P(ElementWindowTest, ElementsMayBeLeftOutAndAskedForAgain) {
  const auto array = open_store(folder_.path() / "a.h5")->array("a");
  const FetchedRange fetched = fetch_range(*array, {0, count});
  RawVector<std::byte> room;
  ElementWindow window(*array, fetched, room);
  for (const Range wanted :
       {Range{5, 9}, Range{5, 12}, Range{40, 40}, Range{41, 60}, Range{60, 100}}) {
    EXPECT_EQ(taken(window, wanted), expected(wanted));
  }
}

TEST_P(ElementWindowTest, RoomIsUsedAgain) {
  const auto array = open_store(folder_.path() / "a.h5")->array("a");
  RawVector<std::byte> room;
  for (const Range all : {Range{0, count}, Range{20, 20}, Range{50, 70}}) {
    const FetchedRange fetched = fetch_range(*array, all);
    ElementWindow window(*array, fetched, room);
    EXPECT_EQ(taken(window, all), expected(all));
  }
}

INSTANTIATE_TEST_SUITE_P(Chunks, ElementWindowTest, testing::Values(1, 4, 7, 64, 100));

}  // namespace
}  // namespace cellmill
