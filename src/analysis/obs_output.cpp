#include "analysis/obs_output.hpp"

#include <algorithm>
#include <bit>
#include <mutex>
#include <set>
#include <utility>

#include "cellmill/core/log.hpp"

namespace cellmill {
namespace {

/// Rows in a chunk of obs: so many that a column of any length is at most a few hundred files.
std::int64_t chunk_rows(std::int64_t n_cells) {
  constexpr std::int64_t fewest = 16384;
  constexpr std::int64_t most = 524288;
  const auto even =
      std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(n_cells / 256, 1)));
  return std::clamp(static_cast<std::int64_t>(even), fewest, most);
}

/// Whether no plate has a column of that name whose encoding is unknown.
bool readable_everywhere(const std::string& name, const RunInputs& inputs) {
  return std::none_of(inputs.plates.begin(), inputs.plates.end(), [&](const Plate& plate) {
    const DataFrame& obs = plate.data->obs();
    return obs.has(name) && obs.column(name).kind == ColumnKind::unsupported;
  });
}

}  // namespace

ObsOutput::ObsOutput(const RunInputs& inputs, const CellPlan& plan, const RunOptions& options)
    : inputs_(inputs), plan_(plan), options_(options) {
  std::vector<const DataFrame*> frames;
  for (const Plate& plate : inputs.plates) frames.push_back(&plate.data->obs());
  std::set<std::string> seen{options.label};
  for (const Plate& plate : inputs.plates) {
    for (const ColumnInfo& column : plate.data->obs().columns()) {
      if (!seen.insert(column.name).second) continue;
      if (readable_everywhere(column.name, inputs)) {
        columns_.push_back(join_column(column.name, frames));
      } else {
        skipped_.push_back(column.name);
      }
    }
    plate_names_.push_back(plate.name);
  }
  label_.name = options.label;
  label_.kind = ColumnKind::categorical;
  label_.dtype = DType::string;
  layout_.chunk_rows = chunk_rows(plan.n_cells());
}

void ObsOutput::create(Group& root, StoreFormat format) {
  // Contiguous in HDF5: strings go in blocks anyway, and the rest is small beside X_pca.
  if (format == StoreFormat::hdf5) layout_.codec = "none";
  for (const std::string& name : skipped_) {
    log_warning("obs column '" + name + "' is left out: its encoding is not one that can be read");
  }
  std::vector<std::string> order;
  for (const JoinedColumn& column : columns_) order.push_back(column.info.name);
  order.push_back(label_.name);
  const auto frame = create_dataframe(root, "obs", order);
  create_index(*frame, plan_.n_cells(), layout_);
  for (const JoinedColumn& column : columns_)
    create_column(*frame, column.info, plan_.n_cells(), column.levels, layout_);
  create_column(*frame, label_, plan_.n_cells(), plate_names_, layout_);
}

void ObsOutput::write(Group& root, Range rows, Arena& arena, const std::function<void()>& check) {
  const auto frame = root.group("obs");
  const auto index = open_index(*frame);
  std::vector<std::unique_ptr<ColumnWriter>> writers;
  for (const JoinedColumn& column : columns_)
    writers.push_back(open_column(*frame, column.info, column.levels.size()));
  const auto label = open_column(*frame, label_, plate_names_.size());

  const std::int64_t unit = unit_rows();
  const std::int64_t units = (rows.size() + unit - 1) / unit;
  arena.for_each(units, [&](std::int64_t u) {
    const Range block{rows.begin + u * unit, std::min(rows.begin + (u + 1) * unit, rows.end)};
    const std::vector<Piece> pieces = pieces_of(block);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      check();
      writers[c]->write(block.begin, column_rows(columns_[c], pieces));
    }
    label->write(block.begin, label_rows(pieces));
    index->write_strings(block.begin, index_rows(pieces));
  });
}

std::vector<ObsOutput::Piece> ObsOutput::pieces_of(Range output_rows) const {
  std::vector<Piece> pieces;
  const auto after =
      std::upper_bound(plan_.kept_before.begin(), plan_.kept_before.end(), output_rows.begin);
  auto at = static_cast<std::size_t>(after - plan_.kept_before.begin()) - 1;
  for (; at < plan_.segments.size() && plan_.kept_before[at] < output_rows.end; ++at) {
    const Segment& segment = plan_.segments[at];
    Piece piece{segment.source, segment.rows,
                kept_rows(inputs_, inputs_.plates[static_cast<std::size_t>(segment.source)],
                          segment.rows, options_)};
    // Of the kept rows, those outside the output rows belong to a neighbouring block.
    std::int64_t row = plan_.kept_before[at];
    for (std::size_t i = 0; i < piece.keep.size(); ++i) {
      if (!piece.keep[i]) continue;
      piece.keep[i] = row >= output_rows.begin && row < output_rows.end;
      ++row;
    }
    // Neighbouring segments of a plate are read together: fewer, longer reads.
    if (!pieces.empty() && pieces.back().plate == piece.plate &&
        pieces.back().rows.end == piece.rows.begin) {
      Piece& last = pieces.back();
      last.rows.end = piece.rows.end;
      last.keep.insert(last.keep.end(), piece.keep.begin(), piece.keep.end());
    } else {
      pieces.push_back(std::move(piece));
    }
  }
  return pieces;
}

ColumnRows ObsOutput::column_rows(const JoinedColumn& column,
                                  const std::vector<Piece>& pieces) const {
  ColumnRows rows;
  for (const Piece& piece : pieces) {
    const auto plate = static_cast<std::size_t>(piece.plate);
    if (column.in_frame[plate] == 0) {
      append_missing(column, std::count(piece.keep.begin(), piece.keep.end(), true), rows);
      continue;
    }
    const DataFrame& obs = inputs_.plates[plate].data->obs();
    const ColumnRows read = obs.read(column.info.name, piece.rows);
    append_rows(column, plate, obs.column(column.info.name), read, piece.keep, rows);
  }
  return rows;
}

Strings ObsOutput::index_rows(const std::vector<Piece>& pieces) const {
  Strings index;
  const bool joined = inputs_.plates.size() > 1 && !options_.index_unique.empty();
  for (const Piece& piece : pieces) {
    const Plate& plate = inputs_.plates[static_cast<std::size_t>(piece.plate)];
    const std::string suffix = joined ? options_.index_unique + plate.name : "";
    const Strings names = plate.data->obs().index(piece.rows);
    std::string name;
    for (std::size_t i = 0; i < piece.keep.size(); ++i) {
      if (!piece.keep[i]) continue;
      name.assign(names[static_cast<std::int64_t>(i)]);
      name += suffix;
      index.push_back(name);
    }
  }
  return index;
}

ColumnRows ObsOutput::label_rows(const std::vector<Piece>& pieces) const {
  ColumnRows rows;
  for (const Piece& piece : pieces) {
    const auto kept = std::count(piece.keep.begin(), piece.keep.end(), true);
    rows.codes.insert(rows.codes.end(), static_cast<std::size_t>(kept), piece.plate);
  }
  return rows;
}

}  // namespace cellmill
