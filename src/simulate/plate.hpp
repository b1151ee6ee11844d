#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulate/alias_table.hpp"
#include "simulate/population.hpp"

namespace cellmill::simulation {

/// What a cell is, without its counts.
struct Cell {
  std::int32_t line = 0;
  std::int32_t sample = 0;
  bool full = true;         ///< passes the filter
  std::int64_t counts = 0;  ///< to be drawn
};

struct CellSummary {
  std::int64_t genes = 0;
  std::int64_t mitochondrial_counts = 0;
};

/// The cells of one plate. Any cell can be drawn at any time and comes out the same. Thread-safe.
class Plate {
 public:
  /// \param depth median counts of a cell, over all plates
  Plate(const Population& population, const SimulateOptions& options, std::int32_t index,
        double depth);

  [[nodiscard]] std::int32_t index() const { return index_; }
  [[nodiscard]] Cell cell(std::int64_t index) const;

  /// Room for one cell's counts over all genes; kept between cells, one a thread.
  class Scratch {
   public:
    explicit Scratch(std::int32_t genes);

   private:
    friend class Plate;
    std::vector<std::uint32_t> counts_;     // zero between cells
    std::vector<std::uint64_t> expressed_;  // a bit a gene, zero between cells
  };

  /// Only counts what the cell would be.
  [[nodiscard]] CellSummary summarise(std::int64_t index, Scratch& scratch) const;
  /// Appends the cell's non-zeros, genes rising.
  void draw(std::int64_t index, Scratch& scratch, std::vector<std::int32_t>& genes,
            std::vector<float>& values) const;

 private:
  /// A programme, ready to draw from.
  struct Source {
    Source(const Programme& programme, double share_of_cell)
        : table(programme.genes, programme.counts), share(share_of_cell) {}
    AliasTable table;
    double share;
  };

  template <class Take>
  void each_count(std::int64_t index, const Take& take) const;

  const Population& population_;
  const SimulateOptions& options_;
  std::int32_t index_;
  double depth_;
  AliasTable background_;
  Source mitochondrial_;
  std::vector<Source> lines_;
  std::vector<Source> samples_;
};

}  // namespace cellmill::simulation
