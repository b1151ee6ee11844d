#include "train/joined_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/scratch_file.hpp"
#include "train/gene_choice.hpp"

namespace cellmill {
namespace {

/// Whether the columns that are kept come in another order.
bool falls(std::span<const std::int32_t> slots) {
  std::int32_t last = -1;
  for (const std::int32_t slot : slots) {
    if (slot < 0) continue;
    if (slot < last) return true;
    last = slot;
  }
  return false;
}

/// Encoded bytes a non-zero, from a few rows here and there.
double sample_encoded_bytes(const MatrixSource& matrix, const RowOffsets& offsets) {
  constexpr std::int64_t samples = 8;
  constexpr std::int64_t rows_a_sample = 64;
  std::int64_t bytes = 0;
  std::int64_t nnz = 0;
  for (std::int64_t i = 0; i < samples; ++i) {
    const std::int64_t begin = matrix.n_rows() / samples * i;
    const Range rows{begin, std::min(begin + rows_a_sample, matrix.n_rows())};
    if (rows.empty()) continue;
    const std::vector<std::int64_t> at = offsets.offsets(rows);
    nnz += at.back() - at.front();
    bytes += matrix.cost(rows, at.back() - at.front()).encoded;
  }
  return nnz == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(nnz);
}

}  // namespace

JoinedMatrix::JoinedMatrix(const Dataset& data, const std::string& name, const ReadOptions& options,
                           Arena& arena) {
  for (std::int32_t number = 0; number < data.n_sources(); ++number) {
    Source source{SourceMatrix(data.source(number), name), nullptr, {}, false};
    const MatrixSource& matrix = *source.matrix;
    matrix.prepare({0, matrix.n_rows()}, find_scratch_folder(".", matrix.nnz() * 8), arena);
    source.offsets = std::make_unique<RowOffsets>(matrix, arena);
    packed_ = packed_ && matrix.has_packed_rows();
    encoded_bytes_per_nonzero_ =
        std::max(encoded_bytes_per_nonzero_, sample_encoded_bytes(matrix, *source.offsets));
    sources_.push_back(std::move(source));
  }
  GeneChoice choice = choose_genes(data, name, options.join, options.genes);
  genes_ = std::move(choice.names);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    sources_[i].slots = std::move(choice.slots[i]);
    sources_[i].shuffles = falls(sources_[i].slots);
    keeps_all_ = keeps_all_ && sources_[i].slots.empty();
  }
}

std::int64_t JoinedMatrix::standing_bytes() const {
  std::int64_t bytes = 0;
  for (const Source& source : sources_) bytes += source.offsets->bytes();
  return bytes;
}

}  // namespace cellmill
