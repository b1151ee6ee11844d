#pragma once

#include <cstdint>

#include "cpu_kernels.hpp"

namespace cellmill {

/// CpuKernels in the compiler's vector extensions. Included only by the files that are compiled for
/// one instruction set; Lanes keeps their instances apart.
template <int Lanes>
struct VectorKernels {
  using Vector [[gnu::vector_size(Lanes * 4), gnu::aligned(4), gnu::may_alias]] = float;
  using Four [[gnu::vector_size(16), gnu::aligned(4), gnu::may_alias]] = float;

  /// Accumulators that leave registers for the operands.
  static constexpr int kMaxVectors = Lanes == 16 ? 24 : 12;

  // Tile: bound by loads from L2, one vector a multiply-add.

  template <int N>
  static void tile_vectors(const float* tile, std::int64_t stride, const GramEntry* entries,
                           std::int64_t n_entries, float* out, Into into) {
    Vector acc[N] = {};
    for (std::int64_t k = 0; k < n_entries; ++k) {
      const float* row = tile + entries[k].cell * stride;
      const float value = entries[k].value;
#pragma GCC unroll 32
      for (int v = 0; v < N; ++v) {
        acc[v] += value * *reinterpret_cast<const Vector*>(row + v * Lanes);
      }
    }
#pragma GCC unroll 32
    for (int v = 0; v < N; ++v) {
      if (into == Into::add) acc[v] += *reinterpret_cast<const Vector*>(out + v * Lanes);
      *reinterpret_cast<Vector*>(out + v * Lanes) = acc[v];
    }
  }

  template <int N>
  static void tile_dispatch(int n_vectors, const float* tile, std::int64_t stride,
                            const GramEntry* entries, std::int64_t n_entries, float* out,
                            Into into) {
    if (n_vectors == N) {
      tile_vectors<N>(tile, stride, entries, n_entries, out, into);
    } else if constexpr (N > 1) {
      tile_dispatch<N - 1>(n_vectors, tile, stride, entries, n_entries, out, into);
    }
  }

  static void tile_columns(const float* tile, std::int64_t stride, const GramEntry* entries,
                           std::int64_t n_entries, float* out, std::int64_t n_columns, Into into) {
    for (std::int64_t vectors = n_columns / Lanes; vectors > 0;) {
      const int now = static_cast<int>(vectors < kMaxVectors ? vectors : kMaxVectors);
      tile_dispatch<kMaxVectors>(now, tile, stride, entries, n_entries, out, into);
      tile += now * Lanes;
      out += now * Lanes;
      vectors -= now;
    }
  }

  // Cold rows: bound by one load, add and store a pair in L1.
  static void cold_row(const ColdLists& lists, const GramEntry* entries, std::int64_t n_entries,
                       float* acc) {
    constexpr std::int64_t kAhead = 4;
    for (std::int64_t k = 0; k < n_entries; ++k) {
      if (k + kAhead < n_entries) {
        const GramEntry& next = entries[k + kAhead];
        const std::int64_t at = lists.begins[next.cell] + next.offset;
        __builtin_prefetch(lists.values + at);
        __builtin_prefetch(lists.positions + at);
      }
      const GramEntry entry = entries[k];
      const std::int64_t end = lists.ends[entry.cell];
      for (std::int64_t at = lists.begins[entry.cell] + (entry.offset & ~3); at < end; at += 4) {
        const Four products = entry.value * *reinterpret_cast<const Four*>(lists.values + at);
        const std::uint16_t* p = lists.positions + at;
        acc[p[0]] += products[0];
        acc[p[1]] += products[1];
        acc[p[2]] += products[2];
        acc[p[3]] += products[3];
      }
    }
  }

  static GramSums sum_values(const GramEntry* entries, std::int64_t n_entries) {
    constexpr int kSums = 8;
    double values[kSums] = {};
    double squares[kSums] = {};
    std::int64_t k = 0;
    for (; k + kSums <= n_entries; k += kSums) {
      for (int i = 0; i < kSums; ++i) {
        const auto value = static_cast<double>(entries[k + i].value);
        values[i] += value;
        squares[i] += value * value;
      }
    }
    for (; k < n_entries; ++k) {
      const auto value = static_cast<double>(entries[k].value);
      values[k % kSums] += value;
      squares[k % kSums] += value * value;
    }
    return {total(values), total(squares)};
  }

  static double total(const double* sums) {
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
  }

  /// Adding 1.5 · 2^52 leaves the rounded integer in the low bits of a double.
  static constexpr double kMagic = 6755399441055744.0;

  static void flush(std::int64_t* __restrict state, float* __restrict cold, std::int64_t n_cold,
                    const float* __restrict hot, std::int64_t n_hot, double scale) {
    const auto magic = __builtin_bit_cast(std::int64_t, kMagic);
    for (std::int64_t i = 0; i < n_cold; ++i) {
      const double x = static_cast<double>(cold[i]) * scale + kMagic;
      state[i] += __builtin_bit_cast(std::int64_t, x) - magic;
      cold[i] = 0;
    }
    state += n_cold;
    for (std::int64_t i = 0; i < n_hot; ++i) {
      const double x = static_cast<double>(hot[i]) * scale + kMagic;
      state[i] += __builtin_bit_cast(std::int64_t, x) - magic;
    }
  }

  // Projection: bound by loads of the panel from L2.

  template <int N>
  static void project_vectors(const float* panel, const std::int32_t* indices, const float* values,
                              std::int64_t n, float* out) {
    Vector acc[N] = {};
    for (std::int64_t k = 0; k < n; ++k) {
      const float* row = panel + static_cast<std::int64_t>(indices[k]) * (N * Lanes);
      const float value = values[k];
#pragma GCC unroll 32
      for (int v = 0; v < N; ++v) {
        acc[v] += value * *reinterpret_cast<const Vector*>(row + v * Lanes);
      }
    }
#pragma GCC unroll 32
    for (int v = 0; v < N; ++v) *reinterpret_cast<Vector*>(out + v * Lanes) = acc[v];
  }

  static void project_row(const float* panel, const std::int32_t* indices, const float* values,
                          std::int64_t n, float* out, std::int64_t n_columns) {
    constexpr int kUnit = 16 / Lanes;
    switch (n_columns / 16) {
      case 1:
        return project_vectors<1 * kUnit>(panel, indices, values, n, out);
      case 2:
        return project_vectors<2 * kUnit>(panel, indices, values, n, out);
      case 3:
        return project_vectors<3 * kUnit>(panel, indices, values, n, out);
      case 4:
        return project_vectors<4 * kUnit>(panel, indices, values, n, out);
      default:
        return project_vectors<5 * kUnit>(panel, indices, values, n, out);
    }
  }

  static constexpr CpuKernels kTable = {&tile_columns, &cold_row, &sum_values, &flush,
                                        &project_row};
};

}  // namespace cellmill
