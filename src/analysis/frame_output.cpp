#include "analysis/frame_output.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "cellmill/core/log.hpp"

namespace cellmill {
namespace {

bool has(const DataFrame* frame, const std::string& column) {
  return frame != nullptr && frame->has(column);
}

bool in_all(const std::string& name, const std::vector<const DataFrame*>& frames) {
  return std::all_of(frames.begin(), frames.end(),
                     [&](const DataFrame* frame) { return has(frame, name); });
}

}  // namespace

FrameOutput::FrameOutput(FrameParts parts, FrameRows rows)
    : parts_(std::move(parts)), rows_(std::move(rows)) {
  std::set<std::string> seen{parts_.label};
  for (const DataFrame* frame : parts_.columns) {
    if (frame == nullptr) continue;
    for (const ColumnInfo& column : frame->columns()) {
      if (!seen.insert(column.name).second) continue;
      if (parts_.which == FrameParts::Columns::of_all_sources &&
          !in_all(column.name, parts_.columns)) {
        continue;
      }
      if (readable_everywhere(column.name, parts_.columns)) {
        columns_.push_back(join_column(column.name, parts_.columns));
      } else {
        skipped_.push_back(column.name);
      }
    }
  }
  layout_.chunk_rows = frame_chunk_rows(n_rows());
}

ColumnInfo FrameOutput::label_info() const {
  return {parts_.label, ColumnKind::categorical, DType::string};
}

void FrameOutput::create(Group& root, StoreFormat format) {
  // Contiguous in HDF5: strings go in blocks anyway, and the rest is small beside the matrices.
  if (format == StoreFormat::hdf5) layout_.codec = "none";
  for (const std::string& name : skipped_) {
    log_warning(parts_.name + " column '" + name +
                "' is left out: its encoding is not one that can be read");
  }
  std::vector<std::string> order;
  for (const JoinedColumn& column : columns_) order.push_back(column.info.name);
  if (!parts_.label.empty()) order.push_back(parts_.label);
  const std::size_t slash = parts_.name.find('/');
  const auto parent =
      slash == std::string::npos ? nullptr : root.group(parts_.name.substr(0, slash));
  const auto frame = create_dataframe(
      parent == nullptr ? root : *parent,
      parent == nullptr ? parts_.name : parts_.name.substr(slash + 1), order, parts_.index_name);
  create_index(*frame, n_rows(), layout_, parts_.index_name);
  for (const JoinedColumn& column : columns_) {
    create_column(*frame, column.info, n_rows(), column.levels, layout_);
  }
  if (!parts_.label.empty()) {
    create_column(*frame, label_info(), n_rows(), Strings(parts_.keys), layout_);
  }
}

void FrameOutput::write(Group& root, Range rows, Arena& arena, const std::function<void()>& check) {
  const auto frame = root.group(parts_.name);
  const auto index = open_index(*frame, parts_.index_name);
  std::vector<std::unique_ptr<ColumnWriter>> writers;
  for (const JoinedColumn& column : columns_) {
    writers.push_back(open_column(*frame, column.info, column.levels.size()));
  }
  std::unique_ptr<ColumnWriter> label;
  if (!parts_.label.empty()) {
    label = open_column(*frame, label_info(), static_cast<std::int64_t>(parts_.keys.size()));
  }

  const std::int64_t unit = unit_rows();
  const std::int64_t units = (rows.size() + unit - 1) / unit;
  arena.for_each(units, [&](std::int64_t u) {
    const Range block{rows.begin + u * unit, std::min(rows.begin + (u + 1) * unit, rows.end)};
    const std::vector<Piece> pieces = pieces_of(block);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      check();
      writers[c]->write(block.begin, column_rows(columns_[c], pieces));
    }
    if (label != nullptr) label->write(block.begin, label_rows(pieces));
    index->write_strings(block.begin, index_rows(pieces));
  });
}

std::vector<FrameOutput::Piece> FrameOutput::pieces_of(Range output_rows) const {
  std::vector<Piece> pieces;
  const auto after = std::upper_bound(rows_.before.begin(), rows_.before.end(), output_rows.begin);
  auto at = static_cast<std::size_t>(after - rows_.before.begin()) - 1;
  for (; at < rows_.segments.size() && rows_.before[at] < output_rows.end; ++at) {
    const Segment& segment = rows_.segments[at];
    Piece piece{static_cast<std::size_t>(segment.source), segment.rows, {}};
    if (rows_.keep) {
      piece.keep = rows_.keep(segment.source, segment.rows);
    } else {
      piece.keep.assign(static_cast<std::size_t>(segment.rows.size()), true);
    }
    // Of the kept rows, those outside the output rows belong to a neighbouring block.
    std::int64_t row = rows_.before[at];
    for (std::size_t i = 0; i < piece.keep.size(); ++i) {
      if (!piece.keep[i]) continue;
      piece.keep[i] = row >= output_rows.begin && row < output_rows.end;
      ++row;
    }
    // Neighbouring segments of a source are read together: fewer, longer reads.
    if (!pieces.empty() && pieces.back().source == piece.source &&
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

ColumnRows FrameOutput::column_rows(const JoinedColumn& column,
                                    const std::vector<Piece>& pieces) const {
  ColumnRows rows;
  for (const Piece& piece : pieces) {
    if (column.in_frame[piece.source] == 0) {
      append_missing(column, std::count(piece.keep.begin(), piece.keep.end(), true), rows);
      continue;
    }
    const DataFrame& frame = *parts_.columns[piece.source];
    const ColumnRows read = frame.read(column.info.name, piece.rows);
    append_rows(column, piece.source, frame.column(column.info.name), read, piece.keep, rows);
  }
  return rows;
}

Strings FrameOutput::index_rows(const std::vector<Piece>& pieces) const {
  Strings index;
  std::string name;
  for (const Piece& piece : pieces) {
    const Strings names = parts_.rows[piece.source]->index(piece.rows);
    for (std::size_t i = 0; i < piece.keep.size(); ++i) {
      if (!piece.keep[i]) continue;
      name.assign(names[static_cast<std::int64_t>(i)]);
      name += parts_.suffixes[piece.source];
      index.push_back(name);
    }
  }
  return index;
}

ColumnRows FrameOutput::label_rows(const std::vector<Piece>& pieces) {
  ColumnRows rows;
  for (const Piece& piece : pieces) {
    const auto kept = std::count(piece.keep.begin(), piece.keep.end(), true);
    rows.codes.insert(rows.codes.end(), static_cast<std::size_t>(kept),
                      static_cast<std::int32_t>(piece.source));
  }
  return rows;
}

}  // namespace cellmill
