#pragma once

#include <cstdint>
#include <functional>

#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/group.hpp"
#include "simulate/plate.hpp"

namespace cellmill::simulation {

/// Writes a plate as an AnnData into an empty store. Every cell is drawn twice: once for the row
/// lengths, which have to be known before the first row is written, and once to be written.
/// \param written is told of cells as they are done, from any thread
void write_plate(Group& root, const Plate& plate, const Population& population,
                 const SimulateOptions& options, Arena& arena,
                 const std::function<void(std::int64_t cells)>& written);

}  // namespace cellmill::simulation
