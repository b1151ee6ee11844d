#pragma once

#include <cstdint>

#include "cellmill/comm/communicator.hpp"

namespace cellmill {

/// What a rank's buffers may take: its memory less what the process (MPI above all) already holds.
/// \param memory resident bytes that the rank may have; 0: 70% of its share of the node's
/// \throws Error(input) if that is next to nothing
[[nodiscard]] std::int64_t buffer_limit(std::int64_t memory, const Communicator& comm);

}  // namespace cellmill
