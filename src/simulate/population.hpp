#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cellmill/simulate/simulate.hpp"

namespace cellmill::simulation {

/// Genes that a cell expresses besides the background: the markers of its cell line, the response
/// to its drug, the mitochondrial genes.
struct Programme {
  std::vector<std::int32_t> genes;
  std::vector<double> counts;  ///< of each gene, in a cell of median depth
};

/// What all plates have in common: how much of which gene is in which cell line, under which drug.
/// A pure function of the options.
struct Population {
  std::vector<double> background;      ///< weight of each gene; 0: silent
  std::vector<Programme> lines;        ///< one a cell line
  std::vector<double> line_abundance;  ///< cumulative, up to 1
  std::vector<Programme> drugs;        ///< the first is the control: no genes
  Programme mitochondrial;             ///< counts in proportion only: see kMitochondrialShare
};

[[nodiscard]] Population make_population(const SimulateOptions& options);

/// The background of one plate: every gene a little more or less, the batch effect.
[[nodiscard]] std::vector<double> plate_background(const Population& population,
                                                   const SimulateOptions& options,
                                                   std::int32_t plate);
/// Factor on the counts of all cells of a plate.
[[nodiscard]] double plate_depth(const SimulateOptions& options, std::int32_t plate);

/// The share of its programme in the counts of a cell, if the median cell has `depth` counts.
[[nodiscard]] double programme_share(const Programme& programme, double depth);

/// Sigma of log counts over cells.
inline constexpr double kDepthSigma = 0.5;
/// Median over cells of the share of mitochondrial counts, and sigma of its logarithm.
inline constexpr double kMitochondrialShare = 0.045;
inline constexpr double kMitochondrialSigma = 0.5;
inline constexpr std::int32_t kSamplesPerPlate = 12;
inline constexpr std::int32_t kDrugs = 33;
/// The drug of a plate's sample; the first sample is the control.
[[nodiscard]] std::int32_t drug_of_sample(std::int32_t plate, std::int32_t sample);

[[nodiscard]] std::string gene_name(const Population& population, std::int32_t gene);
[[nodiscard]] std::string gene_id(std::int32_t gene);
[[nodiscard]] std::string drug_name(std::int32_t drug);
[[nodiscard]] std::string line_name(std::int32_t line);
[[nodiscard]] std::string sample_name(std::int32_t plate, std::int32_t sample);
[[nodiscard]] std::string barcode(std::int32_t plate, std::int64_t cell);

/// Median counts of a cell that give `options.nnz` non-zeros on average.
/// \throws Error(input) if so few genes can't give so many
[[nodiscard]] double calibrated_depth(const Population& population, const SimulateOptions& options);

}  // namespace cellmill::simulation
