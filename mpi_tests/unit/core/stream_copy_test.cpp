#include "cellmill/core/stream_copy.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace cellmill {
namespace {

TEST(StreamCopy, CopiesWhatMemcpyWouldWhateverTheLengthAndPlace) {
  std::vector<std::byte> from(1000);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 7 + 1);
  for (const std::size_t length : {0, 1, 3, 63, 64, 65, 127, 128, 129, 700}) {
    for (std::size_t offset = 0; offset < 130; offset += 13) {
      std::vector<std::byte> to(1000, std::byte{0});
      std::vector<std::byte> expected = to;
      std::copy_n(from.begin() + 5, length, expected.begin() + static_cast<std::ptrdiff_t>(offset));
      copy_past_caches(to.data() + offset, from.data() + 5, length);
      finish_copies();
      EXPECT_EQ(to, expected) << length << " bytes to " << offset;
    }
  }
}

}  // namespace
}  // namespace cellmill
