#include "simulate/write_plate.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <span>

#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/stop.hpp"

namespace cellmill::simulation {
namespace {

/// About what h5py chooses for arrays of this size.
constexpr std::int64_t kHdf5Chunk = 17000;
/// Zarr chunks are files, so fewer and larger ones.
constexpr std::int64_t kZarrChunk = std::int64_t{1} << 18;
/// Non-zeros that one task draws and writes, at least.
constexpr std::int64_t kTaskNonzeros = std::int64_t{1} << 18;
constexpr std::int64_t kTaskCells = 256;

void check_stop() {
  if (stop_requested()) throw stopped_error("simulate was stopped");
}

/// What is known of the cells of a plate after the first drawing.
struct Summaries {
  std::vector<std::int64_t> indptr;  ///< cells + 1
  std::vector<std::int64_t> counts;
  std::vector<double> mitochondrial_per_cent;
};

Summaries summarise(const Plate& plate, const SimulateOptions& options, Arena& arena) {
  const auto cells = static_cast<std::size_t>(options.cells);
  Summaries summaries{std::vector<std::int64_t>(cells + 1), std::vector<std::int64_t>(cells),
                      std::vector<double>(cells)};
  arena.for_each((options.cells + kTaskCells - 1) / kTaskCells, [&](std::int64_t task) {
    check_stop();
    Plate::Scratch scratch(options.genes);
    const std::int64_t end = std::min((task + 1) * kTaskCells, options.cells);
    for (std::int64_t cell = task * kTaskCells; cell < end; ++cell) {
      const CellSummary summary = plate.summarise(cell, scratch);
      const auto at = static_cast<std::size_t>(cell);
      summaries.indptr[at + 1] = summary.genes;
      summaries.counts[at] = plate.cell(cell).counts;
      summaries.mitochondrial_per_cent[at] = 100 *
                                             static_cast<double>(summary.mitochondrial_counts) /
                                             static_cast<double>(summaries.counts[at]);
    }
  });
  for (std::size_t cell = 0; cell < cells; ++cell) {
    summaries.indptr[cell + 1] += summaries.indptr[cell];
  }
  return summaries;
}

template <class T>
std::unique_ptr<ArrayWriter> create_1d(Group& group, const std::string& name, std::int64_t size) {
  const bool hdf5 = group.format() == StoreFormat::hdf5;
  ArraySpec spec;
  spec.dtype = dtype_of<T>();
  spec.shape = {size};
  spec.chunk_shape = {std::clamp<std::int64_t>(size, 1, hdf5 ? kHdf5Chunk : kZarrChunk)};
  spec.codec = hdf5 ? "gzip" : "zstd";
  return group.create_array(name, spec);
}

void write_indptr(Group& group, const std::vector<std::int64_t>& indptr) {
  const auto size = static_cast<std::int64_t>(indptr.size());
  if (indptr.back() > std::numeric_limits<std::int32_t>::max()) {
    create_1d<std::int64_t>(group, "indptr", size)->write_rows(0, std::as_bytes(std::span(indptr)));
  } else {
    const std::vector<std::int32_t> narrow(indptr.begin(), indptr.end());
    create_1d<std::int32_t>(group, "indptr", size)->write_rows(0, std::as_bytes(std::span(narrow)));
  }
}

/// Draws the non-zeros [range) of X, which may begin and end inside a cell.
class NonzeroRange {
 public:
  NonzeroRange(const Plate& plate, const std::vector<std::int64_t>& indptr, std::int32_t n_genes,
               Range range) {
    const auto first = std::upper_bound(indptr.begin(), indptr.end(), range.begin) - 1;
    const auto last = std::lower_bound(indptr.begin(), indptr.end(), range.end);
    offset_ = static_cast<std::size_t>(range.begin - *first);
    size_ = static_cast<std::size_t>(range.size());
    Plate::Scratch scratch(n_genes);
    genes_.reserve(static_cast<std::size_t>(*last - *first));
    values_.reserve(static_cast<std::size_t>(*last - *first));
    for (std::int64_t cell = first - indptr.begin(); cell < last - indptr.begin(); ++cell) {
      plate.draw(cell, scratch, genes_, values_);
    }
  }
  [[nodiscard]] std::span<const std::int32_t> genes() const {
    return std::span(genes_).subspan(offset_, size_);
  }
  [[nodiscard]] std::span<const float> values() const {
    return std::span(values_).subspan(offset_, size_);
  }

 private:
  std::size_t offset_ = 0;
  std::size_t size_ = 0;
  std::vector<std::int32_t> genes_;
  std::vector<float> values_;
};

/// Each task draws and writes a run of whole chunks; cells that two runs share are drawn by both.
void write_x(Group& root, const Plate& plate, const std::vector<std::int64_t>& indptr,
             const SimulateOptions& options, Arena& arena,
             const std::function<void(std::int64_t cells)>& written) {
  const std::int64_t nnz = indptr.back();
  const auto x = create_csr_matrix(root, "X", options.cells, options.genes);
  write_indptr(*x, indptr);
  const auto indices = create_1d<std::int32_t>(*x, "indices", nnz);
  const auto data = create_1d<float>(*x, "data", nnz);
  const std::int64_t unit = data->unit_rows();
  const std::int64_t run = std::max<std::int64_t>((kTaskNonzeros + unit - 1) / unit, 1) * unit;
  arena.for_each((nnz + run - 1) / run, [&](std::int64_t task) {
    check_stop();
    const Range range{task * run, std::min((task + 1) * run, nnz)};
    const NonzeroRange nonzeros(plate, indptr, options.genes, range);
    indices->write_rows(range.begin, std::as_bytes(nonzeros.genes()));
    data->write_rows(range.begin, std::as_bytes(nonzeros.values()));
    const auto cells_until = [&](std::int64_t element) {
      return std::lower_bound(indptr.begin() + 1, indptr.end(), element + 1) - indptr.begin() - 1;
    };
    written(cells_until(range.end) - cells_until(range.begin));
  });
}

ColumnInfo column(const std::string& name, ColumnKind kind, DType dtype) {
  ColumnInfo info;
  info.name = name;
  info.kind = kind;
  info.dtype = dtype;
  return info;
}

/// A categorical column whose levels are those that occur, sorted, as pandas makes it.
template <class CodeOf, class NameOf>
void write_levels(Group& frame, const std::string& name, std::int64_t rows, const CodeOf& code_of,
                  const NameOf& name_of) {
  ColumnRows column_rows;
  std::map<std::string, std::int32_t> levels;
  for (std::int64_t row = 0; row < rows; ++row) {
    column_rows.codes.push_back(code_of(row));
    levels.emplace(name_of(column_rows.codes.back()), column_rows.codes.back());
  }
  Strings names;
  std::map<std::int32_t, std::int32_t> position;
  for (const auto& [level, code] : levels) {
    position[code] = static_cast<std::int32_t>(position.size());
    names.push_back(level);
  }
  for (std::int32_t& code : column_rows.codes) code = position[code];
  write_column(frame, column(name, ColumnKind::categorical, DType::string), column_rows, names);
}

void write_obs(Group& root, const Plate& plate, const Summaries& summaries,
               const SimulateOptions& options) {
  const auto frame = create_dataframe(
      root, "obs",
      {"sample", "gene_count", "tscp_count", "drug", "cell_line", "pcnt_mito", "pass_filter"});
  std::vector<Cell> cells;
  Strings names;
  for (std::int64_t cell = 0; cell < options.cells; ++cell) {
    cells.push_back(plate.cell(cell));
    names.push_back(barcode(plate.index(), cell));
  }
  const auto of = [&](std::int64_t row) -> const Cell& {
    return cells[static_cast<std::size_t>(row)];
  };
  write_index(*frame, names);
  write_levels(
      *frame, "sample", options.cells, [&](std::int64_t row) { return of(row).sample; },
      [&](std::int32_t sample) { return sample_name(plate.index(), sample); });
  write_levels(
      *frame, "drug", options.cells,
      [&](std::int64_t row) { return drug_of_sample(plate.index(), of(row).sample); }, drug_name);
  write_levels(
      *frame, "cell_line", options.cells, [&](std::int64_t row) { return of(row).line; },
      line_name);
  write_levels(
      *frame, "pass_filter", options.cells, [&](std::int64_t row) { return of(row).full ? 0 : 1; },
      [](std::int32_t code) { return std::string(code == 0 ? "full" : "minimal"); });
  ColumnRows rows;
  for (std::size_t cell = 0; cell < cells.size(); ++cell) {
    rows.integers.push_back(summaries.indptr[cell + 1] - summaries.indptr[cell]);
  }
  write_column(*frame, column("gene_count", ColumnKind::numeric, DType::int64), rows);
  rows.integers = summaries.counts;
  write_column(*frame, column("tscp_count", ColumnKind::numeric, DType::int64), rows);
  rows.integers.clear();
  rows.numbers = summaries.mitochondrial_per_cent;
  write_column(*frame, column("pcnt_mito", ColumnKind::numeric, DType::float64), rows);
}

void write_var(Group& root, const Population& population, const SimulateOptions& options) {
  const auto frame = create_dataframe(root, "var", {"gene_id"});
  Strings names;
  ColumnRows ids;
  for (std::int32_t gene = 0; gene < options.genes; ++gene) {
    names.push_back(gene_name(population, gene));
    ids.strings.push_back(gene_id(gene));
  }
  write_index(*frame, names);
  write_column(*frame, column("gene_id", ColumnKind::string, DType::string), ids);
}

}  // namespace

void write_plate(Group& root, const Plate& plate, const Population& population,
                 const SimulateOptions& options, Arena& arena,
                 const std::function<void(std::int64_t cells)>& written) {
  const Summaries summaries = summarise(plate, options, arena);
  write_anndata_root(root);
  write_obs(root, plate, summaries, options);
  write_var(root, population, options);
  write_x(root, plate, summaries.indptr, options, arena, written);
  root.flush();
}

}  // namespace cellmill::simulation
