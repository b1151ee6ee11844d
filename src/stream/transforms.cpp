#include "cellmill/stream/transforms.hpp"

#include <algorithm>
#include <utility>

namespace cellmill {

void select_rows(CsrChunk& chunk, const std::vector<bool>& keep) {
  std::int64_t kept_rows = 0;
  std::int64_t kept_nnz = 0;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const auto at = static_cast<std::size_t>(row);
    const std::int64_t begin = chunk.indptr[at];
    const std::int64_t end = chunk.indptr[at + 1];
    if (!keep[at]) continue;
    if (begin != kept_nnz) {
      std::copy(chunk.indices.begin() + begin, chunk.indices.begin() + end,
                chunk.indices.begin() + kept_nnz);
      std::copy(chunk.values.begin() + begin, chunk.values.begin() + end,
                chunk.values.begin() + kept_nnz);
    }
    chunk.indptr[static_cast<std::size_t>(kept_rows++)] = kept_nnz;
    kept_nnz += end - begin;
  }
  chunk.indptr.resize(static_cast<std::size_t>(kept_rows) + 1);
  chunk.indptr.back() = kept_nnz;
  chunk.indices.resize(static_cast<std::size_t>(kept_nnz));
  chunk.values.resize(static_cast<std::size_t>(kept_nnz));
}

void select_columns(CsrChunk& chunk, std::span<const std::int32_t> slot, std::int32_t n_slots) {
  std::int64_t kept = 0;
  std::int64_t begin = 0;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const std::int64_t end = chunk.indptr[static_cast<std::size_t>(row) + 1];
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int32_t to =
          slot[static_cast<std::size_t>(chunk.indices[static_cast<std::size_t>(k)])];
      // Written always, counted only if kept: no branch to mispredict. kept never passes k.
      chunk.indices[static_cast<std::size_t>(kept)] = to;
      chunk.values[static_cast<std::size_t>(kept)] = chunk.values[static_cast<std::size_t>(k)];
      kept += to >= 0 ? 1 : 0;
    }
    begin = end;
    chunk.indptr[static_cast<std::size_t>(row) + 1] = kept;
  }
  chunk.indices.resize(static_cast<std::size_t>(kept));
  chunk.values.resize(static_cast<std::size_t>(kept));
  chunk.n_cols = n_slots;
  sort_rows(chunk);
}

void sort_rows(CsrChunk& chunk) {
  std::vector<std::pair<std::int32_t, float>> entries;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const auto begin = static_cast<std::size_t>(chunk.indptr[static_cast<std::size_t>(row)]);
    const auto end = static_cast<std::size_t>(chunk.indptr[static_cast<std::size_t>(row) + 1]);
    const auto first = chunk.indices.begin();
    if (std::is_sorted(first + static_cast<std::ptrdiff_t>(begin),
                       first + static_cast<std::ptrdiff_t>(end)))
      continue;
    entries.clear();
    for (std::size_t k = begin; k < end; ++k)
      entries.emplace_back(chunk.indices[k], chunk.values[k]);
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t k = begin; k < end; ++k) {
      chunk.indices[k] = entries[k - begin].first;
      chunk.values[k] = entries[k - begin].second;
    }
  }
}

}  // namespace cellmill
