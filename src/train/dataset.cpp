#include "cellmill/train/dataset.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "cellmill/anndata/column_join.hpp"
#include "cellmill/anndata/selection.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Rows of obs that are read at a time.
constexpr std::int64_t obs_block = std::int64_t{1} << 20;

template <class Body>
void for_blocks(std::int64_t n_rows, Body&& body) {
  for (std::int64_t begin = 0; begin < n_rows; begin += obs_block) {
    body(Range{begin, std::min(begin + obs_block, n_rows)});
  }
}

}  // namespace

std::shared_ptr<const Dataset> Dataset::open(const DatasetOptions& options) {
  if (options.paths.empty()) throw usage_error("no AnnData was given");
  std::shared_ptr<Dataset> dataset(new Dataset());  // NOLINT: the constructor is private
  dataset->options_ = options;
  dataset->first_row_.push_back(0);
  for (const auto& path : options.paths) {
    dataset->data_.push_back(AnnData::open(path));
    dataset->first_row_.push_back(dataset->first_row_.back() + dataset->data_.back()->n_obs());
  }
  return dataset;
}

std::vector<std::int64_t> Dataset::rows_of_sources() const {
  std::vector<std::int64_t> rows;
  for (const auto& data : data_) rows.push_back(data->n_obs());
  return rows;
}

JoinedGenes Dataset::genes(const std::string& matrix) const {
  if (!matrix.starts_with("raw/")) {
    std::vector<const DataFrame*> vars;
    for (const auto& data : data_) vars.push_back(&data->var());
    return join_genes(vars, options_.gene_key, options_.gene_map);
  }
  std::vector<DataFrame> frames;
  std::vector<const DataFrame*> vars;
  frames.reserve(data_.size());
  for (const auto& data : data_) {
    vars.push_back(&frames.emplace_back(data->root().group("raw/var")));
  }
  return join_genes(vars, options_.gene_key, options_.gene_map);
}

Dataset::Place Dataset::place(std::int64_t row) const {
  if (row < 0 || row >= n_obs()) {
    throw input_error(fmt::format("row {}: there are {} rows", grouped(row), grouped(n_obs())));
  }
  const auto after = std::upper_bound(first_row_.begin(), first_row_.end(), row);
  const auto source = static_cast<std::int32_t>(after - first_row_.begin()) - 1;
  return {source, row - first_row_[static_cast<std::size_t>(source)]};
}

Range Dataset::rows_of_source(std::int32_t number) const {
  const auto at = static_cast<std::size_t>(number);
  return {first_row_[at], first_row_[at + 1]};
}

std::vector<const DataFrame*> Dataset::frames() const {
  std::vector<const DataFrame*> frames;
  for (const auto& data : data_) frames.push_back(&data->obs());
  return frames;
}

std::vector<std::string> Dataset::obs_columns() const {
  std::vector<std::string> names;
  for (const DataFrame* obs : frames()) {
    for (const ColumnInfo& column : obs->columns()) {
      if (std::find(names.begin(), names.end(), column.name) == names.end()) {
        names.push_back(column.name);
      }
    }
  }
  return names;
}

std::shared_ptr<const ObsValues> Dataset::obs(const std::string& column) const {
  const std::vector<const DataFrame*> all = frames();
  if (std::none_of(all.begin(), all.end(), [&](const auto* obs) { return obs->has(column); })) {
    const std::vector<std::string> nearest = nearest_names(column, obs_columns());
    throw missing_error(fmt::format(
        "{}: there is no column '{}'{}", all.front()->location(), column,
        nearest.empty() ? "" : fmt::format("; did you mean {}?", fmt::join(nearest, ", "))));
  }
  const JoinedColumn joined = join_column(column, all);
  auto values = std::make_shared<ObsValues>(joined, n_obs());
  for (std::size_t frame = 0; frame < all.size(); ++frame) {
    for_blocks(all[frame]->n_rows(), [&](Range rows) {
      ColumnRows block;
      if (joined.in_frame[frame] != 0) {
        append_rows(joined, frame, all[frame]->column(column), all[frame]->read(column, rows),
                    std::vector<bool>(static_cast<std::size_t>(rows.size()), true), block);
      } else {
        append_missing(joined, rows.size(), block);
      }
      values->append(block);
    });
  }
  return values;
}

Strings Dataset::obs_names(std::span<const std::int64_t> rows) const {
  Strings names;
  for (std::size_t i = 0; i < rows.size();) {
    const Place first = place(rows[i]);
    std::size_t end = i + 1;  // neighbours are read together
    while (end < rows.size() && rows[end] == rows[end - 1] + 1 &&
           rows[end] < rows_of_source(first.source).end) {
      ++end;
    }
    names.append(source(first.source)
                     .obs()
                     .index({first.row, first.row + static_cast<std::int64_t>(end - i)}));
    i = end;
  }
  return names;
}

std::vector<std::int64_t> Dataset::select(const std::string& condition) const {
  const Selection selection(condition);
  std::vector<std::int64_t> rows;
  for (std::int32_t number = 0; number < n_sources(); ++number) {
    const DataFrame& obs = source(number).obs();
    selection.check(obs);
    for_blocks(obs.n_rows(), [&](Range block) {
      const std::vector<bool> chosen = selection.evaluate(obs, block);
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        if (chosen[i]) {
          rows.push_back(rows_of_source(number).begin + block.begin + static_cast<std::int64_t>(i));
        }
      }
    });
  }
  return rows;
}

}  // namespace cellmill
