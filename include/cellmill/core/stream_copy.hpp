#pragma once

#include <cstddef>

namespace cellmill {

/// memcpy for what nobody reads soon and what is too much for the caches: whole lines go to memory
/// without being fetched from it first, which halves the traffic. Slower than memcpy where the
/// destination would have stayed in a cache. After the last of them and before another thread may
/// read, finish_copies() is due.
void copy_past_caches(void* to, const void* from, std::size_t bytes);

/// What copy_past_caches() wrote on this thread is seen by whoever this thread tells of it next.
void finish_copies();

}  // namespace cellmill
