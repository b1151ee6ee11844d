// Opens an AnnData, made up here if none is named, and counts what it stores.
#include <cellmill/anndata/anndata.hpp>
#include <cellmill/core/error.hpp>
#include <cellmill/core/parallel.hpp>
#include <cellmill/simulate/simulate.hpp>
#include <filesystem>
#include <iostream>

int main(int argc, char** argv) {
  try {
    std::filesystem::path path = argc > 1 ? argv[1] : "";
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / "cellmill_consumer";
    if (path.empty()) {
      std::filesystem::remove_all(folder);
      cellmill::Arena arena(1);
      path = cellmill::simulate_plates(
          folder, {.plates = 1, .cells = 100, .genes = 200, .nnz = 20, .cell_lines = 2}, arena)[0];
    }
    const auto data = cellmill::AnnData::open(path);
    std::cout << data->name() << ": " << data->n_obs() << " cells, " << data->n_vars() << " genes, "
              << data->x().nnz() << " counts\n";
    std::filesystem::remove_all(folder);
    return 0;
  } catch (const cellmill::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
