#include "storage/enough_memory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

void expect_memory(std::int64_t elements, std::size_t bytes_each) {
  static const std::int64_t memory =
      static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  if (elements <= memory / static_cast<std::int64_t>(bytes_each)) return;
  throw input_error(fmt::format("no memory for {} elements: this machine has {}", grouped(elements),
                                human_bytes(memory)));
}

}  // namespace cellmill
