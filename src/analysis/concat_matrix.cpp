#include "analysis/concat_matrix.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "analysis/concat_rows.hpp"
#include "cellmill/anndata/copy.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/progress.hpp"
#include "cellmill/stream/pipeline.hpp"

namespace cellmill {
namespace {

/// What a block carries from stage to stage.
struct BlockItem : Fetched {
  FetchedRows fetched;            ///< of a sparse part
  CsrRows<double> rows;           ///< of a sparse matrix; its values are in `elements`
  RawVector<std::byte> elements;  ///< values as the output has them
};

/// One pass over this rank's blocks of a matrix.
struct BlockPass {
  std::string name;
  bool fetches = true;  ///< sparse parts, values and all
  std::function<void(PulseControl&)> begin;
  std::function<void(const CopyBlock&, BlockItem&)> process;  ///< tasks, any order
  std::function<void(BlockItem&)> deliver;                    ///< optional; in order
  std::function<void()> end;                                  ///< after the last block
};

/// Memory of a block: some megabytes, less where there is little or are many threads.
std::int64_t block_bytes(const ConcatContext& context) {
  constexpr std::int64_t most = std::int64_t{32} << 20;
  return std::clamp<std::int64_t>(
      context.budget.limit() / (std::int64_t{4} * (context.arena.threads() + 2)), 1 << 20, most);
}

void run_blocks(ConcatContext& context, const JoinedMatrix& matrix, const BlockPass& pass) {
  const std::vector<CopyBlock> blocks = copy_blocks(matrix, context.plan, block_bytes(context));
  ProgressLine line(pass.name, context.n_rows());
  PulseOptions pulse;
  pulse.share = context.rows_of_ranks[static_cast<std::size_t>(context.comm.rank())].size();
  pulse.on_progress = [&](const PulseProgress& progress) {
    line.show(progress.cells, progress.bytes);
  };
  const auto block_at = [&](std::int64_t at) -> const CopyBlock& {
    return blocks[static_cast<std::size_t>(at)];
  };
  with_pulse(
      context.comm,
      [&](PulseControl& control) {
        if (pass.begin) pass.begin(control);
        Pass plain;
        plain.count = static_cast<std::int64_t>(blocks.size());
        plain.check = [&] { control.check(); };
        plain.cost = [&](std::int64_t at) { return block_cost(matrix, block_at(at)); };
        plain.fetch = [&](std::int64_t at) {
          auto item = std::make_unique<BlockItem>();
          const MatrixPart& part = matrix.parts[block_at(at).source];
          if (pass.fetches && part.sparse != nullptr) {
            part.sparse->fetch(block_at(at).rows, item->fetched);
          }
          return item;
        };
        plain.process = [&](std::int64_t at, Fetched& fetched) {
          auto& item = static_cast<BlockItem&>(fetched);
          const std::int64_t bytes = item.fetched.encoded_bytes();
          pass.process(block_at(at), item);
          control.add(block_at(at).rows.size(), bytes);
        };
        if (pass.deliver) {
          plain.deliver = [&](std::int64_t, Fetched& fetched) {
            pass.deliver(static_cast<BlockItem&>(fetched));
          };
        }
        run_pass(plain, {context.arena, context.budget});
        if (pass.end) pass.end();
      },
      pulse);
  line.finish();
}

/// Zarr: as `convert` lays arrays out, in smaller shards, because a rank holds some of them.
/// HDF5: contiguous, which all ranks can write.
ArraySpec output_spec(DType dtype, const std::vector<std::int64_t>& shape, StoreFormat format) {
  CopyLayout layout;
  layout.shard_bytes = std::int64_t{16} << 20;
  if (format == StoreFormat::hdf5) layout.codec = "none";
  return rows_spec(dtype, shape, layout, format);
}

/// The arrays of a matrix that rows are appended to.
struct MatrixArrays {
  struct One {
    std::string name;
    ArraySpec spec;
    std::vector<Range> ranges;  ///< of each rank

    [[nodiscard]] std::size_t row_bytes() const {
      return std::accumulate(spec.shape.begin() + 1, spec.shape.end(), dtype_size(spec.dtype),
                             [](std::size_t bytes, std::int64_t size) {
                               return bytes * static_cast<std::size_t>(size);
                             });
    }
    /// Of what is encoded and written at once.
    [[nodiscard]] std::int64_t unit_bytes() const {
      const auto& unit = spec.shard_shape.empty() ? spec.chunk_shape : spec.shard_shape;
      return unit.empty() ? 0 : unit[0] * static_cast<std::int64_t>(row_bytes());
    }
  };
  std::vector<One> all;  ///< sparse: indptr, indices, data; otherwise the one array
};

MatrixArrays arrays_of(const ConcatContext& context, const JoinedMatrix& matrix,
                       const std::vector<std::int64_t>& stored, StoreFormat format) {
  MatrixArrays arrays;
  const std::int64_t n_rows = context.n_rows();
  if (!matrix.sparse) {
    arrays.all = {{matrix.name, output_spec(matrix.dtype, {n_rows, matrix.columns->count}, format),
                   context.rows_of_ranks}};
    return arrays;
  }
  const std::vector<Range> values = consecutive(stored);
  std::vector<Range> offsets = context.rows_of_ranks;
  ++offsets.back().end;  // one more than rows: the last rank writes it
  const std::int64_t nnz = values.back().end;
  arrays.all = {{matrix.name + "/indptr", output_spec(DType::int64, {n_rows + 1}, format), offsets},
                {matrix.name + "/indices", output_spec(DType::int32, {nnz}, format), values},
                {matrix.name + "/data", output_spec(matrix.dtype, {nnz}, format), values}};
  return arrays;
}

/// Memory for the units of all arrays, and how many of each may wait for tasks: what an eighth of
/// the budget holds.
struct UnitMemory {
  MemoryBudget::Reservation standing;
  std::vector<UnitTasks> tasks;
};

UnitMemory reserve_units(ConcatContext& context, const MatrixArrays& arrays, StoreFormat format) {
  UnitMemory memory;
  std::int64_t bytes = 0;
  for (const MatrixArrays::One& array : arrays.all) {
    // Being filled or encoded: its bytes and what they become.
    const std::int64_t unit = format == StoreFormat::hdf5 ? 0 : 2 * array.unit_bytes();
    const std::int64_t waiting = unit == 0
                                     ? 0
                                     : std::clamp<std::int64_t>(context.budget.limit() / 8 / unit,
                                                                0, context.arena.threads());
    memory.tasks.push_back({&context.arena, static_cast<int>(waiting)});
    bytes += unit * (1 + waiting);
  }
  memory.standing = context.budget.reserve(bytes, "chunks of the output being filled");
  return memory;
}

void process_block(const JoinedMatrix& matrix, const CopyBlock& block, BlockItem& item) {
  if (!matrix.sparse) {
    item.elements = dense_rows(matrix, block);
    return;
  }
  item.rows = sparse_rows(matrix, block, item.fetched);
  item.fetched = {};
  item.elements.resize(item.rows.values.size() * dtype_size(matrix.dtype));
  convert_elements(item.rows.values, matrix.dtype, item.elements);
  item.rows.values = {};
}

}  // namespace

std::vector<std::int64_t> count_stored(ConcatContext& context, const JoinedMatrix& matrix,
                                       const std::filesystem::path& folder) {
  with_pulse(context.comm, [&](PulseControl&) {
    std::vector<const MatrixSource*> parts;
    for (const MatrixPart& part : matrix.parts) parts.push_back(part.sparse.get());
    prepare_rows(context.plan, parts, folder, context.arena);
  });
  std::atomic<std::int64_t> count{0};
  BlockPass pass;
  pass.name = "counting " + matrix.name;
  pass.fetches = false;
  pass.process = [&](const CopyBlock& block, BlockItem&) { count += count_rows(matrix, block); };
  run_blocks(context, matrix, pass);
  const std::int64_t mine = count;
  return all_gather(context.comm, std::span(&mine, 1));
}

void create_matrix(Group& root, const ConcatContext& context, const JoinedMatrix& matrix,
                   std::int64_t stored) {
  const std::size_t slash = matrix.name.find('/');
  const auto group =
      slash == std::string::npos ? nullptr : root.group(matrix.name.substr(0, slash));
  Group& parent = group == nullptr ? root : *group;
  const std::string name = slash == std::string::npos ? matrix.name : matrix.name.substr(slash + 1);
  const MatrixArrays arrays = arrays_of(context, matrix, {stored}, root.format());
  if (!matrix.sparse) {
    create_element(parent, name, arrays.all.front().spec);
    return;
  }
  const auto csr = create_csr_matrix(parent, name, context.n_rows(), matrix.columns->count);
  for (const MatrixArrays::One& array : arrays.all) {
    csr->create_array(array.name.substr(matrix.name.size() + 1), array.spec);
  }
}

void copy_matrix(ConcatContext& context, const JoinedMatrix& matrix,
                 const std::vector<std::int64_t>& stored, JointOutput& output) {
  const MatrixArrays arrays = arrays_of(context, matrix, stored, output.format());
  UnitMemory memory;
  std::vector<std::unique_ptr<RowOutput>> rows;
  const auto rank = static_cast<std::size_t>(context.comm.rank());
  std::int64_t offset = matrix.sparse ? arrays.all.back().ranges[rank].begin : 0;
  const auto append = [&](std::size_t array, const auto& values) {
    rows[array]->append(std::as_bytes(std::span(values)));
  };

  BlockPass pass;
  pass.name = matrix.name;
  pass.begin = [&](PulseControl& control) {
    memory = reserve_units(context, arrays, output.format());
    for (std::size_t a = 0; a < arrays.all.size(); ++a) {
      const MatrixArrays::One& array = arrays.all[a];
      rows.push_back(
          output.rows(control, array.name, array.row_bytes(), array.ranges, memory.tasks[a]));
    }
  };
  pass.process = [&](const CopyBlock& block, BlockItem& item) {
    process_block(matrix, block, item);
  };
  pass.deliver = [&](BlockItem& item) {
    if (!matrix.sparse) return append(0, item.elements);
    std::vector<std::int64_t> indptr(item.rows.indptr.begin(), item.rows.indptr.end() - 1);
    for (std::int64_t& at : indptr) at += offset;
    offset += item.rows.nnz();
    append(0, indptr);
    append(1, item.rows.indices);
    append(2, item.elements);
  };
  pass.end = [&] {
    if (!matrix.sparse) return;
    if (offset != arrays.all.back().ranges[rank].end) {
      throw input_error(matrix.name + ": a plate changed while it was read");
    }
    if (context.comm.rank() + 1 == context.comm.size()) append(0, std::vector{offset});
  };
  run_blocks(context, matrix, pass);
  for (const auto& array : rows) array->exchange(context.comm);
  with_pulse(context.comm, [&](PulseControl&) {
    for (const auto& array : rows) array->finish();
  });
}

}  // namespace cellmill
