#pragma once

#include <cstdint>

#include "cellmill/core/cpu_level.hpp"

namespace cellmill {

/// A non-zero in the gene-major copy of a segment.
struct GramEntry {
  float value;           ///< scaled to at most 1
  std::uint16_t cell;    ///< row within the segment
  std::uint16_t offset;  ///< its place in the cell's list of cold genes; unused for hot genes
};

/// The cold genes of each cell, positions rising; every list starts at a multiple of four and is
/// padded to one with zeros whose positions lie behind the row's end.
struct ColdLists {
  const std::uint16_t* positions;
  const float* values;
  const std::uint32_t* begins;  ///< a cell
  const std::uint32_t* ends;
};

struct GramSums {
  double values;
  double squares;
};

enum class Into { set, add };

/// Inner loops of the Gram matrix and the projection for one instruction set.
struct CpuKernels {
  /// out[c] (+)= Σ over entries: value · tile[cell, c], in registers, for n_columns (a multiple of
  /// 16). `tile` points to the first column wanted of the segment's row 0.
  void (*tile_columns)(const float* tile, std::int64_t stride, const GramEntry* entries,
                       std::int64_t n_entries, float* out, std::int64_t n_columns, Into into);

  /// acc[p] += value · (value of cold gene p in the entry's cell) for all cold genes from the
  /// entry's own on. Up to three places before it are touched too: they carry nothing.
  void (*cold_row)(const ColdLists& lists, const GramEntry* entries, std::int64_t n_entries,
                   float* acc);

  /// Sums of the values and of their squares, in double.
  GramSums (*sum_values)(const GramEntry* entries, std::int64_t n_entries);

  /// state[i] += round(cold[i] · scale) over n_cold, then the same for hot; cold is left zero.
  /// |x · scale| < 2^51.
  void (*flush)(std::int64_t* state, float* cold, std::int64_t n_cold, const float* hot,
                std::int64_t n_hot, double scale);

  /// out[c] = Σ_k values[k] · panel[indices[k], c] for n_columns (a multiple of 16, at most
  /// kMaxPanel).
  void (*project_row)(const float* panel, const std::int32_t* indices, const float* values,
                      std::int64_t n, float* out, std::int64_t n_columns);
};

constexpr std::int64_t kMaxPanel = 80;

#ifdef CELLMILL_X86_KERNELS
extern const CpuKernels kKernelsAvx2;
extern const CpuKernels kKernelsAvx512;
#endif

}  // namespace cellmill
