#include "analysis/run_fingerprint.hpp"

#include <nlohmann/json.hpp>
#include <system_error>

#include "cellmill/anndata/fingerprint.hpp"
#include "cellmill/core/cpu_level.hpp"
#include "cellmill/core/version.hpp"

namespace cellmill {

nlohmann::json run_options_json(const RunOptions& options) {
  static constexpr const char* joins[] = {"inner", "outer"};
  static constexpr const char* write_x[] = {"none", "counts", "lognorm"};
  nlohmann::json json = {{"join", joins[static_cast<int>(options.join)]},
                         {"flavor", hvg_flavor_name(options.flavor)},
                         {"n_top_genes", options.n_top_genes},
                         {"label", options.label},
                         {"index_unique", options.index_unique},
                         {"write_x", write_x[static_cast<int>(options.write_x)]},
                         {"zarr_format", options.zarr_format}};
  if (options.target_sum) {
    json["target_sum"] = *options.target_sum;
  } else {
    json["target_sum"] = "median";
  }
  if (options.filter) json["filter"] = *options.filter;
  if (options.gene_key) json["gene_key"] = *options.gene_key;
  if (options.batch_key) json["batch_key"] = *options.batch_key;
  if (options.min_plates) json["min_plates"] = *options.min_plates;
  if (options.n_comps) json["n_comps"] = *options.n_comps;
  return json;
}

std::string run_fingerprint(const RunOptions& options, const RunInputs& inputs) {
  nlohmann::json fingerprint = run_options_json(options);
  fingerprint["program"] = version();
  // Kernels of different instruction sets round differently.
  fingerprint["instructions"] = cpu_level_name(resolve_cpu_level(CpuLevel::best));
  std::error_code error;
  const auto output = std::filesystem::absolute(options.output, error);
  fingerprint["output"] = (error ? options.output : output).string();
  fingerprint["plates"] = nlohmann::json::array();  // their order
  for (const Plate& plate : inputs.plates) {
    fingerprint["plates"].push_back(plate.name);
    add_input(fingerprint, *plate.data);
  }
  return json_line(fingerprint);
}

}  // namespace cellmill
