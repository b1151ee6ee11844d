#include "cellmill/core/raw_vector.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace cellmill {

void prefer_large_pages(void* memory, std::size_t bytes) {
  constexpr std::uintptr_t page = std::uintptr_t{2} << 20;
  if (bytes < page) return;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t end = (begin + bytes) / page * page;
  if (first >= end) return;
  void* const at = static_cast<std::byte*>(memory) + (first - begin);
  (void)::madvise(at, end - first, MADV_HUGEPAGE);  // a wish: what it answers changes nothing
}

}  // namespace cellmill
