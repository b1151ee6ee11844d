#pragma once

#include <CLI/CLI.hpp>

namespace cellmill {

/// Adds `--config FILE`: a TOML (.toml) or YAML (.yaml, .yml) file whose keys are the names of the
/// command's options, and of its positional arguments; the command line wins. A key that is no
/// option is an error that names the nearest ones.
///
/// CLI11 reads its own dialect of TOML, which drops misspelt keys silently and breaks on lists over
/// several lines; here it only decides what wins.
void add_config_option(CLI::App& app);

}  // namespace cellmill
