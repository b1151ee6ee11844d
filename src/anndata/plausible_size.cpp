#include "anndata/plausible_size.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

constexpr std::int64_t most_chunks = 50'000'000;
constexpr std::int64_t most_strings = 10'000'000'000;

// What is filled in within a minute needs no look.
constexpr std::int64_t few_chunks = 100'000;
constexpr std::int64_t few_bytes = std::int64_t{64} << 30;

void expect_at_most(const ArrayInfo& info, const char* what, std::int64_t found,
                    std::int64_t most) {
  if (found <= most) return;
  throw input_error(fmt::format("{}: {} {} declared, at most {} are read", info.location,
                                grouped(found), what, grouped(most)));
}

/// Looks at some chunks all over the array. (Chunks of strings in HDF5 can't be asked.)
bool is_hollow(const Array& array, std::int64_t chunks) {
  constexpr std::int64_t looked_at = 256;
  const std::int64_t step = std::max<std::int64_t>(chunks / looked_at, 1);
  std::int64_t there = 0;
  for (std::int64_t chunk = 0; chunk < chunks; chunk += step) {
    if (array.encoded_bytes(chunk) > 0 && ++there > 1) return false;
  }
  return true;
}

}  // namespace

void expect_plausible_size(const Array& array) {
  const ArrayInfo& info = array.info();
  const std::int64_t chunks = chunk_count(info);
  const std::int64_t elements = element_count(info);
  const bool text = info.dtype == DType::string;
  expect_at_most(info, "chunks", chunks, most_chunks);
  if (text) expect_at_most(info, "strings", elements, most_strings);
  const auto width =
      static_cast<std::int64_t>(text ? sizeof(std::int64_t) : dtype_size(info.dtype));
  if ((chunks <= few_chunks && elements <= few_bytes / width) || !is_hollow(array, chunks)) return;
  throw input_error(
      fmt::format("{}: {} elements in {} chunks declared, but of hardly one is there "
                  "anything stored",
                  info.location, grouped(elements), grouped(chunks)));
}

}  // namespace cellmill
