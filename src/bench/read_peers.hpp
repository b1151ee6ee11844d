#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace cellmill {

/// Seconds that Python's libraries take to read X's values and columns of these files once, in
/// blocks of 20,000 rows, after one reading that doesn't count: `h5py`, `zarr-python` (with the
/// zarrs pipeline where it is installed, `zarr-python + zarrs`). Empty where Python or the library
/// is not there.
[[nodiscard]] std::map<std::string, double> read_by_python(
    const std::vector<std::filesystem::path>& files, const std::string& python);

}  // namespace cellmill
