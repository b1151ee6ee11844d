#include "storage/enough_memory.hpp"

#include <fmt/format.h>

#include <atomic>

#include "cellmill/core/error.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/claims.hpp"

namespace cellmill {

namespace {

std::atomic<std::int64_t>& limit() {
  static std::atomic<std::int64_t> bytes = available_memory();
  return bytes;
}

}  // namespace

void limit_claims(std::int64_t bytes) { limit() = bytes; }

std::int64_t most_claimed() { return limit(); }

void expect_memory(std::int64_t elements, std::size_t bytes_each) {
  const std::int64_t most = most_claimed();
  if (elements <= most / static_cast<std::int64_t>(bytes_each)) return;
  throw input_error(fmt::format("no memory for {} elements of {} bytes: {} may be used",
                                grouped(elements), grouped(static_cast<std::int64_t>(bytes_each)),
                                human_bytes(most)));
}

}  // namespace cellmill
