#include "cellmill/storage/dtype.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

TEST(DType, NamesComeBack) {
  for (const DType dtype : {DType::boolean, DType::int8, DType::int16, DType::int32, DType::int64,
                            DType::uint8, DType::uint16, DType::uint32, DType::uint64,
                            DType::float32, DType::float64, DType::string}) {
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
  }
  EXPECT_EQ(dtype_name(DType::boolean), "bool");
  EXPECT_THROW((void)parse_dtype("float16"), Error);
  EXPECT_THROW((void)parse_dtype(""), Error);
}

TEST(DType, KindsAndSizes) {
  EXPECT_FALSE(is_integer(DType::boolean));
  EXPECT_TRUE(is_integer(DType::int8));
  EXPECT_TRUE(is_integer(DType::uint64));
  EXPECT_FALSE(is_integer(DType::float32));
  EXPECT_TRUE(is_float(DType::float64));
  EXPECT_FALSE(is_float(DType::string));
  EXPECT_EQ(dtype_size(DType::boolean), 1U);
  EXPECT_EQ(dtype_size(DType::uint16), 2U);
  EXPECT_EQ(dtype_size(DType::string), 0U);
}

template <class From>
std::vector<double> to_double(const std::vector<From>& from) {
  std::vector<double> to(from.size());
  convert_elements<double>(dtype_of<From>(), std::as_bytes(std::span(from)), to);
  return to;
}

TEST(ConvertElements, KeepsSignsAndExtremes) {
  EXPECT_EQ(to_double<std::int8_t>({-128, 127}), (std::vector<double>{-128, 127}));
  EXPECT_EQ(to_double<std::uint8_t>({0, 255}), (std::vector<double>{0, 255}));
  EXPECT_EQ(to_double<std::uint32_t>({4294967295U}), std::vector<double>{4294967295.0});
  EXPECT_EQ(to_double<std::uint64_t>({1ULL << 63}), std::vector<double>{9223372036854775808.0});
  EXPECT_EQ(to_double<float>({0.5F, -2.0F}), (std::vector<double>{0.5, -2.0}));
}

TEST(ConvertElements, ReadsBytesAtAnyAddress) {
  std::vector<std::byte> bytes(1 + 2 * sizeof(double));
  const double values[] = {1.25, -3.5};
  std::copy_n(reinterpret_cast<const std::byte*>(values), sizeof values, bytes.data() + 1);
  std::vector<float> found(2);
  convert_elements<float>(DType::float64, std::span(bytes).subspan(1), found);
  EXPECT_EQ(found, (std::vector<float>{1.25F, -3.5F}));
}

TEST(ConvertElements, RefusesStringsAndOtherLengths) {
  std::vector<std::byte> bytes(12);
  std::vector<std::int32_t> out(2);
  EXPECT_THROW(convert_elements<std::int32_t>(DType::int32, bytes, out), Error);
  EXPECT_THROW(convert_elements<std::int32_t>(DType::string, bytes, out), Error);
  out.clear();
  EXPECT_NO_THROW(convert_elements<std::int32_t>(DType::int32, {}, out));
}

TEST(DType, PromotesAsNumpyDoes) {
  EXPECT_EQ(promoted(DType::int32, DType::int32), DType::int32);
  EXPECT_EQ(promoted(DType::boolean, DType::uint8), DType::uint8);
  EXPECT_EQ(promoted(DType::int8, DType::uint8), DType::int16);
  EXPECT_EQ(promoted(DType::uint32, DType::int16), DType::int64);
  EXPECT_EQ(promoted(DType::int64, DType::uint32), DType::int64);
  EXPECT_EQ(promoted(DType::uint64, DType::int8), DType::float64);
  EXPECT_EQ(promoted(DType::float32, DType::uint16), DType::float32);
  EXPECT_EQ(promoted(DType::float32, DType::int32), DType::float64);
  EXPECT_EQ(promoted(DType::float64, DType::boolean), DType::float64);
}

TEST(DType, NumbersBecomeElementsOfAnyType) {
  const std::vector<double> numbers{0, 1, 200};
  for (const DType dtype :
       {DType::uint8, DType::int16, DType::int64, DType::float32, DType::float64}) {
    std::vector<std::byte> bytes(numbers.size() * dtype_size(dtype));
    convert_elements(numbers, dtype, bytes);
    std::vector<double> back(numbers.size());
    convert_elements<double>(dtype, bytes, back);
    EXPECT_EQ(back, numbers) << dtype_name(dtype);
  }
}

}  // namespace
}  // namespace cellmill
