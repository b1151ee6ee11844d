#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "analysis/run_inputs.hpp"
#include "cellmill/analysis/run.hpp"

namespace cellmill {

/// The options that shape what a run writes.
[[nodiscard]] nlohmann::json run_options_json(const RunOptions& options);

/// Everything that decides what a run writes, to the bit (anndata/fingerprint.hpp): options,
/// inputs, program and instruction set.
[[nodiscard]] std::string run_fingerprint(const RunOptions& options, const RunInputs& inputs);

}  // namespace cellmill
