#include "train/shard_obs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

template <class T>
std::vector<T> arranged(const std::vector<T>& values, const std::vector<std::int64_t>& from) {
  if (values.empty()) return {};
  std::vector<T> out(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    out[i] = values[static_cast<std::size_t>(from[i])];
  }
  return out;
}

Strings arranged(const Strings& values, const std::vector<std::int64_t>& from) {
  Strings out;
  if (values.empty()) return out;
  out.reserve(values.size(), values.bytes());
  for (const std::int64_t at : from) out.push_back(values[at]);
  return out;
}

ColumnRows arranged(ColumnRows rows, const std::vector<std::int64_t>& from) {
  if (from.empty()) return rows;
  return {arranged(rows.numbers, from), arranged(rows.integers, from), arranged(rows.codes, from),
          arranged(rows.strings, from), arranged(rows.missing, from)};
}

std::vector<const DataFrame*> frames_of(const InputRows& rows) {
  std::vector<const DataFrame*> frames;
  frames.reserve(static_cast<std::size_t>(rows.data().n_sources()));
  for (std::int32_t source = 0; source < rows.data().n_sources(); ++source) {
    frames.push_back(&rows.data().source(source).obs());
  }
  return frames;
}

/// The columns that were chosen, or all of any input that can be read, without the label.
std::vector<std::string> chosen_columns(const InputRows& rows, const ShardOptions& options,
                                        const std::vector<const DataFrame*>& frames) {
  const std::vector<std::string> all = rows.data().obs_columns();
  std::vector<std::string> chosen;
  for (const std::string& name : options.obs.value_or(all)) {
    if (name == options.label || std::find(chosen.begin(), chosen.end(), name) != chosen.end()) {
      continue;
    }
    if (std::find(all.begin(), all.end(), name) == all.end()) {
      const std::vector<std::string> nearest = nearest_names(name, all);
      throw missing_error(fmt::format(
          "{}: there is no column '{}'{}", frames.front()->location(), name,
          nearest.empty() ? "" : fmt::format("; did you mean {}?", fmt::join(nearest, ", "))));
    }
    if (readable_everywhere(name, frames)) {
      chosen.push_back(name);
    } else if (options.obs) {
      throw input_error(
          fmt::format("obs column '{}': its encoding is not one that can be read", name));
    } else {
      log_warning("obs column '" + name +
                  "' is left out: its encoding is not one that can be read");
    }
  }
  return chosen;
}

}  // namespace

ShardObs::ShardObs(const InputRows& rows, const ShardOptions& options,
                   const KeyedPermutation* shuffle)
    : rows_(rows), options_(options), shuffle_(shuffle) {
  const std::vector<const DataFrame*> frames = frames_of(rows);
  for (const std::string& name : chosen_columns(rows, options, frames)) {
    columns_.push_back(join_column(name, frames));
  }
}

void ShardObs::write(Group& root, std::int64_t memory, Arena& arena,
                     const std::function<void()>& check) const {
  const std::int64_t n_cells = rows_.n_cells();
  const RowLayout layout{.chunk_rows = frame_chunk_rows(n_cells), .shard_rows = 0, .codec = "zstd"};
  const ColumnInfo label{options_.label, ColumnKind::categorical, DType::string, false};
  std::vector<std::string> order;
  for (const JoinedColumn& column : columns_) order.push_back(column.info.name);
  order.push_back(label.name);
  const auto frame = create_dataframe(root, "obs", order);
  const auto index = create_index(*frame, n_cells, layout);
  std::vector<std::unique_ptr<ColumnWriter>> writers;
  for (const JoinedColumn& column : columns_) {
    writers.push_back(create_column(*frame, column.info, n_cells, column.levels, layout));
  }
  writers.push_back(create_column(*frame, label, n_cells, Strings(rows_.names()), layout));

  // A name takes about this much while it is read and arranged; other values take less.
  constexpr std::int64_t row_bytes = 128;
  const std::int64_t fit = memory / row_bytes / arena.threads() / layout.chunk_rows;
  const std::int64_t step =
      layout.chunk_rows * (shuffle_ == nullptr ? 1 : std::max<std::int64_t>(fit, 1));
  for (std::int64_t begin = 0; begin < n_cells; begin += step) {
    check();
    const Window at = window({begin, std::min(begin + step, n_cells)}, arena);
    arena.for_each(static_cast<std::int64_t>(writers.size()) + 1, [&](std::int64_t i) {
      check();
      const auto column = static_cast<std::size_t>(i);
      if (column < columns_.size()) {
        writers[column]->write(begin, arranged(column_rows(columns_[column], at), at.from));
      } else if (column == columns_.size()) {
        writers[column]->write(begin, arranged(label_rows(at), at.from));
      } else {
        const Strings all = names(at);
        index->write_strings(begin, at.from.empty() ? all : arranged(all, at.from));
      }
    });
  }
}

ShardObs::Window ShardObs::window(Range rows, Arena& arena) const {
  Window window;
  window.rows = rows;
  if (shuffle_ == nullptr) {
    for (std::int64_t at = rows_.segment_of(rows.begin);
         at < rows_.n_segments() && rows_.kept(at).begin < rows.end; ++at) {
      std::vector<bool> keep = rows_.keep(at);
      std::int64_t cell = rows_.kept(at).begin;
      for (std::size_t i = 0; i < keep.size(); ++i) {
        if (!keep[i]) continue;
        keep[i] = cell >= rows.begin && cell < rows.end;
        ++cell;
      }
      add_piece(at, std::move(keep), window);
    }
    return window;
  }
  // Where the cells of each segment go; those outside the window are left out.
  std::vector<std::vector<bool>> keep(static_cast<std::size_t>(rows_.n_segments()));
  std::vector<std::vector<std::int64_t>> places(keep.size());
  arena.for_each(rows_.n_segments(), [&](std::int64_t at) {
    const auto slot = static_cast<std::size_t>(at);
    keep[slot] = rows_.keep(at);
    std::int64_t cell = rows_.kept(at).begin;
    for (std::size_t i = 0; i < keep[slot].size(); ++i) {
      if (!keep[slot][i]) continue;
      const auto row =
          static_cast<std::int64_t>(shuffle_->place_of(static_cast<std::uint64_t>(cell++)));
      keep[slot][i] = row >= rows.begin && row < rows.end;
      if (keep[slot][i]) places[slot].push_back(row - rows.begin);
    }
  });
  window.from.resize(static_cast<std::size_t>(rows.size()));
  std::int64_t number = 0;
  for (std::size_t at = 0; at < keep.size(); ++at) {
    for (const std::int64_t place : places[at]) {
      window.from[static_cast<std::size_t>(place)] = number++;
    }
    add_piece(static_cast<std::int64_t>(at), std::move(keep[at]), window);
  }
  return window;
}

void ShardObs::add_piece(std::int64_t segment, std::vector<bool> keep, Window& to) const {
  constexpr std::int64_t most_rows = 65'536;
  const Segment& of = rows_.segment(segment);
  const std::int64_t kept = std::count(keep.begin(), keep.end(), true);
  if (kept == 0) return;
  // Neighbouring segments of a source are read together: fewer, longer reads.
  Piece* last = to.pieces.empty() ? nullptr : &to.pieces.back();
  if (last != nullptr && last->source == of.source && last->rows.end == of.rows.begin &&
      last->rows.size() < most_rows) {
    last->rows.end = of.rows.end;
    last->keep.insert(last->keep.end(), keep.begin(), keep.end());
    last->kept += kept;
  } else {
    to.pieces.push_back({of.source, of.rows, std::move(keep), kept});
  }
}

ColumnRows ShardObs::column_rows(const JoinedColumn& column, const Window& window) const {
  ColumnRows rows;
  for (const Piece& piece : window.pieces) {
    const auto source = static_cast<std::size_t>(piece.source);
    if (column.in_frame[source] == 0) {
      append_missing(column, piece.kept, rows);
      continue;
    }
    const DataFrame& obs = rows_.data().source(piece.source).obs();
    append_rows(column, source, obs.column(column.info.name),
                obs.read(column.info.name, piece.rows), piece.keep, rows);
  }
  return rows;
}

ColumnRows ShardObs::label_rows(const Window& window) const {
  ColumnRows rows;
  for (const Piece& piece : window.pieces) {
    rows.codes.insert(rows.codes.end(), static_cast<std::size_t>(piece.kept), piece.source);
  }
  return rows;
}

Strings ShardObs::names(const Window& window) const {
  Strings names;
  const bool joined = rows_.names().size() > 1 && !options_.index_unique.empty();
  std::string name;
  for (const Piece& piece : window.pieces) {
    const Strings read = rows_.data().source(piece.source).obs().index(piece.rows);
    const std::string suffix =
        joined ? options_.index_unique + rows_.names()[static_cast<std::size_t>(piece.source)] : "";
    for (std::size_t i = 0; i < piece.keep.size(); ++i) {
      if (!piece.keep[i]) continue;
      name.assign(read[static_cast<std::int64_t>(i)]);
      name += suffix;
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace cellmill
