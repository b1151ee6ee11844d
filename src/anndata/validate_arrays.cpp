#include "anndata/validate_arrays.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "anndata/cached_vector.hpp"
#include "anndata/plausible_size.hpp"
#include "anndata/sparse_arrays.hpp"
#include "cellmill/anndata/dataframe.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/stop.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

constexpr std::int64_t most_told = 20;  // of one element

/// Rows read at once where they are looked at one by one.
constexpr std::int64_t rows_at_once = 65'536;

template <class Body>
void for_blocks(std::int64_t count, std::int64_t block, Body&& body) {
  for (std::int64_t begin = 0; begin < count; begin += block) {
    if (stop_requested()) throw stopped_error("validate was stopped");
    body(Range{begin, std::min(begin + block, count)});
  }
}

void validate_strings(const Array& array, Faults& faults) {
  const ArrayInfo& info = array.info();
  expect_plausible_size(array);
  const std::int64_t rows = info.shape.empty() ? 1 : info.shape[0];
  const std::int64_t in_row = rows == 0 ? 1 : element_count(info) / rows;
  const std::int64_t together =
      std::max<std::int64_t>(rows_at_once / std::max<std::int64_t>(in_row, 1), 1);
  for_blocks(rows, together, [&](Range block) {
    guarded(faults, [&] { faults.read(array.read_strings(block).bytes()); });
  });
}

}  // namespace

void Faults::begin_element(const std::string& path) {
  element_ = path;
  in_element_ = 0;
  if (events_.on_element) events_.on_element(path);
}

void Faults::add(const std::string& message) {
  if (++in_element_ <= most_told && events_.on_fault) events_.on_fault(message);
}

void Faults::add_too_large() {
  add(fmt::format("{}: {}: takes more memory than validate may have", file_, element_));
}

void Faults::read(std::int64_t bytes) {
  if (events_.on_bytes) events_.on_bytes(bytes);
}

void Faults::end_element() {
  if (in_element_ > most_told && events_.on_fault) {
    events_.on_fault(fmt::format("{}: {}: {} more faults like these", file_, element_,
                                 grouped(in_element_ - most_told)));
  }
}

void validate_array(const Array& array, const ValidateOptions& options, Arena& arena,
                    Faults& faults) {
  const ArrayInfo& info = array.info();
  if (info.dtype == DType::string) return validate_strings(array, faults);
  const std::int64_t chunks = chunk_count(info);
  const std::int64_t bytes =
      chunk_elements(info) * static_cast<std::int64_t>(dtype_size(info.dtype));
  if (bytes > options.most_chunk_bytes) {
    return faults.add(fmt::format("{}: chunks of {} declared, at most {} are read", info.location,
                                  human_bytes(bytes), human_bytes(options.most_chunk_bytes)));
  }
  expect_plausible_size(array);
  std::mutex telling;
  // Chunks of a few megabytes at once on each thread.
  const std::int64_t together = std::int64_t{64} * arena.threads();
  for_blocks(chunks, together, [&](Range range) {
    arena.for_each(range.size(), [&](std::int64_t i) {
      thread_local RawVector<std::byte> decoded;
      std::string fault;
      try {
        const EncodedChunk encoded = array.fetch(range.begin + i);
        if (encoded.missing) return;  // nothing that could be wrong
        decoded.resize(static_cast<std::size_t>(bytes));
        array.decode(encoded, decoded);
      } catch (const Error& error) {
        fault = error.what();
      }
      const std::lock_guard lock(telling);
      if (!fault.empty()) faults.add(fault);
      faults.read(bytes);
    });
  });
}

void validate_sparse(const Group& group, const std::string& encoding, Faults& faults) {
  const SparseShape shape = read_sparse_shape(group);
  const bool rows_first = encoding == "csr_matrix";
  const std::int64_t major = rows_first ? shape.rows : shape.cols;
  const std::int64_t minor = rows_first ? shape.cols : shape.rows;
  const char* const major_name = rows_first ? "row" : "column";
  const char* const minor_name = rows_first ? "column" : "row";
  const auto data = open_sparse_vector(group, "data");
  const auto indices = open_sparse_vector(group, "indices");
  const auto indptr = open_sparse_vector(group, "indptr");
  const std::int64_t nnz = element_count(data->info());
  expect_elements(*indptr, major + 1, rows_first ? "one more than rows" : "one more than columns");
  expect_elements(*indices, nnz, "as many as data");

  // Offsets first: what they say of the rows is only worth looking at if they rise.
  std::int64_t before = 0;
  bool rising = true;
  for_blocks(major + 1, rows_at_once, [&](Range part) {
    const std::vector<std::int64_t> offsets = read_range<std::int64_t>(*indptr, part);
    for (std::int64_t i = 0; i < part.size(); ++i) {
      const std::int64_t found = offsets[static_cast<std::size_t>(i)];
      const std::int64_t at = part.begin + i;
      const bool ends = (at != 0 || found == 0) && (at != major || found == nnz);
      if (found < before || found > nnz || !ends) {
        rising = false;
        faults.add(fmt::format("{}: {} {}: offset {} found, expected {} to {}",
                               indptr->info().location, major_name, grouped(at), grouped(found),
                               grouped(at == major ? nnz : before), grouped(at == 0 ? 0 : nnz)));
      }
      before = std::max(before, found);
    }
  });
  if (!rising) return;

  for_blocks(major, rows_at_once, [&](Range part) {
    const std::vector<std::int64_t> offsets =
        read_range<std::int64_t>(*indptr, {part.begin, part.end + 1});
    std::int64_t row = 0;  // of the part
    std::int64_t previous = -1;
    constexpr std::int64_t elements_at_once = std::int64_t{1} << 22;
    for_blocks(offsets.back() - offsets.front(), elements_at_once, [&](Range block) {
      const Range stored{offsets.front() + block.begin, offsets.front() + block.end};
      const std::vector<std::int64_t> numbers = read_range<std::int64_t>(*indices, stored);
      for (std::int64_t k = stored.begin; k < stored.end; ++k) {
        while (offsets[static_cast<std::size_t>(row) + 1] <= k) {
          ++row;
          previous = -1;
        }
        const std::int64_t found = numbers[static_cast<std::size_t>(k - stored.begin)];
        const auto tell = [&](const std::string& expected) {
          faults.add(fmt::format("{}: {} {}: {} {} found at {}, expected {}",
                                 indices->info().location, major_name, grouped(part.begin + row),
                                 minor_name, found, grouped(k), expected));
        };
        if (found < 0 || found >= minor) {
          tell(fmt::format("0 to {}", minor - 1));
        } else if (found == previous) {
          tell("each once");
        } else if (found < previous) {
          tell(fmt::format("above {}, in rising order", previous));
        }
        previous = found;
      }
      faults.read(block.size() * static_cast<std::int64_t>(sizeof(std::int32_t)));
    });
  });
}

void validate_frame(std::unique_ptr<Group> group, Faults& faults) {
  const DataFrame frame(std::move(group));
  for_blocks(frame.n_rows(), rows_at_once,
             [&](Range rows) { guarded(faults, [&] { (void)frame.index(rows); }); });
  for (const ColumnInfo& column : frame.columns()) {
    guarded(faults, [&] {
      if (column.kind == ColumnKind::categorical) (void)frame.levels(column.name);
      // One fault a column is enough: the rest would repeat it.
      for_blocks(std::max<std::int64_t>(frame.n_rows(), 1), rows_at_once, [&](Range rows) {
        (void)frame.read(column.name, {rows.begin, std::min(rows.end, frame.n_rows())});
      });
    });
  }
}

}  // namespace cellmill
