#include "train/joined_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/scratch_file.hpp"

namespace cellmill {
namespace {

bool is_identity(std::span<const std::int32_t> slots, std::int32_t n_cols) {
  if (static_cast<std::int32_t>(slots.size()) != n_cols) return false;
  for (std::int32_t i = 0; i < n_cols; ++i) {
    if (slots[static_cast<std::size_t>(i)] != i) return false;
  }
  return true;
}

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

/// Ensembl's ids look like ENSG00000141510.
bool looks_like_ids(const std::vector<std::string>& names) {
  const auto ids = std::count_if(names.begin(), names.end(),
                                 [](const std::string& name) { return name.starts_with("ENS"); });
  return 2 * ids > static_cast<std::int64_t>(names.size());
}

}  // namespace

JoinedMatrix::JoinedMatrix(const Dataset& data, const std::string& name, const ReadOptions& options,
                           Arena& arena) {
  for (std::int32_t number = 0; number < data.n_sources(); ++number) {
    Source source;
    const AnnData& from = data.source(number);
    if (name == "X") {
      source.matrix = &from.x();
    } else {
      source.opened = open_matrix(from.root(), name);
      source.matrix = source.opened.get();
    }
    const MatrixSource& matrix = *source.matrix;
    if (matrix.n_rows() != from.n_obs()) {
      throw input_error(fmt::format("{}: {} rows found, expected {}, the length of obs",
                                    matrix.location(), grouped(matrix.n_rows()),
                                    grouped(from.n_obs())));
    }
    matrix.prepare({0, matrix.n_rows()}, find_scratch_folder(".", matrix.nnz() * 8), arena);
    source.offsets = std::make_unique<RowOffsets>(matrix, arena);
    packed_ = packed_ && matrix.has_packed_rows();
    encoded_bytes_per_nonzero_ =
        std::max(encoded_bytes_per_nonzero_, sample_encoded_bytes(matrix, *source.offsets));
    sources_.push_back(std::move(source));
  }
  choose_genes(data.genes(name), options, data);
  for (Source& source : sources_) {
    source.shuffles = falls(source.slots);
    if (is_identity(source.slots, n_cols())) {
      source.slots = {};
    } else {
      keeps_all_ = false;
    }
  }
}

void JoinedMatrix::choose_genes(const JoinedGenes& joined, const ReadOptions& options,
                                const Dataset& data) {
  if (options.genes) return look_up(joined, *options.genes, data);
  std::vector<const AnnData*> sources;
  for (std::int32_t i = 0; i < data.n_sources(); ++i) sources.push_back(&data.source(i));
  check_join(joined, sources, options.join);
  const std::vector<std::int32_t> kept = kept_genes(joined, options.join);
  for (const std::int32_t place : kept) {
    genes_.push_back(joined.names[static_cast<std::size_t>(place)]);
  }
  std::vector<std::vector<std::int32_t>> slots = gene_slots(joined, kept);
  for (std::size_t i = 0; i < sources_.size(); ++i) sources_[i].slots = std::move(slots[i]);
}

void JoinedMatrix::look_up(const JoinedGenes& joined, const std::vector<std::string>& wanted,
                           const Dataset& data) {
  std::unordered_map<std::string_view, std::int32_t> column;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!column.emplace(wanted[i], static_cast<std::int32_t>(i)).second) {
      throw input_error(fmt::format("genes: '{}' is asked for twice", wanted[i]));
    }
  }
  genes_ = wanted;
  std::vector<std::int32_t> slot_of(joined.names.size(), -1);
  std::vector<bool> found(wanted.size(), false);
  std::int64_t matches = 0;
  for (std::size_t i = 0; i < joined.names.size(); ++i) {
    const auto at = column.find(joined.names[i]);
    if (at == column.end()) continue;
    if (found[static_cast<std::size_t>(at->second)]) {
      throw input_error(fmt::format("{}: gene '{}' is asked for, and occurs more than once",
                                    data.source(0).var().location(), joined.names[i]));
    }
    found[static_cast<std::size_t>(at->second)] = true;
    slot_of[i] = at->second;
    ++matches;
  }
  if (matches == 0 && !wanted.empty()) {
    const bool mixed =
        !joined.names.empty() && looks_like_ids(wanted) != looks_like_ids(joined.names);
    throw input_error(fmt::format(
        "genes: none of the {} is in the data: asked for e.g. {}, the data has e.g. {}{}",
        grouped(static_cast<std::int64_t>(wanted.size())), wanted.front(),
        joined.names.empty() ? "none" : joined.names.front(),
        mixed ? "; one looks like gene symbols, the other like ids: name a var column with gene_key"
              : ""));
  }
  for (std::size_t s = 0; s < sources_.size(); ++s) {
    for (const std::int32_t place : joined.place[s]) {
      sources_[s].slots.push_back(slot_of[static_cast<std::size_t>(place)]);
    }
  }
}

std::int64_t JoinedMatrix::standing_bytes() const {
  std::int64_t bytes = 0;
  for (const Source& source : sources_) bytes += source.offsets->bytes();
  return bytes;
}

}  // namespace cellmill
