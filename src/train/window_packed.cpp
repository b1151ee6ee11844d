#include <algorithm>
#include <cstddef>
#include <vector>

#include "cellmill/storage/packed_rows.hpp"
#include "train/batch_rows.hpp"
#include "train/window_reader.hpp"

namespace cellmill {

void WindowReader::compose_packed(WindowWork& work, std::size_t wanted, std::size_t m,
                                  BatchMatrix& out, TokenWriter* tokens) const {
  const JoinedMatrix& matrix = *matrices_[m];
  const WindowWork::MatrixWork& of = work.matrices[m];
  const std::int64_t begin = work.wanted[wanted].in_window * work.window.batch_size;
  make_offsets(work, wanted, m, out);  // as stored: upper bounds where genes are chosen
  const auto rows = static_cast<std::int64_t>(out.indptr.size()) - 1;
  const auto place_of = [&](std::int64_t row) { return static_cast<std::size_t>(begin + row); };
  // Rows are decoded one behind the other: straight into the batch where they keep all they have,
  // else a few at a time, in the cache.
  const bool dense = composes_dense();
  const bool straight = !dense && !tokens && matrix.keeps_all();
  constexpr std::int64_t a_few = 16;
  const std::size_t all = static_cast<std::size_t>(out.nnz()) + PackedRows::slack;
  if (dense) {
    resize_for_reuse(out.dense,
                     static_cast<std::size_t>(rows) * static_cast<std::size_t>(out.n_cols));
  } else if (!tokens) {
    resize_for_reuse(out.indices, all);
    resize_for_reuse(out.values, all);
  }
  constexpr std::size_t in_caches = std::size_t{128} << 10;  // elements: 1 MB of them
  const Landing landing = straight && all > in_caches ? Landing::memory : Landing::caches;

  std::vector<MatrixSource::PackedRow> run;
  std::int32_t end = 0;  // of what the batch has
  for (std::int64_t first = 0; first < rows;) {
    // The next rows of one source; padding has no source and goes with any.
    std::int32_t source = -1;
    std::int64_t stored = 0;
    std::int64_t last = first;
    run.clear();
    for (; last < rows && (straight || last - first < a_few); ++last) {
      const std::int32_t r = work.read_of_place[place_of(last)];
      if (r < 0) continue;
      const WindowWork::Read& read = work.reads[static_cast<std::size_t>(r)];
      if (source >= 0 && read.source != source) break;
      source = read.source;
      run.push_back({of.fetched[static_cast<std::size_t>(r)].get(),
                     work.window.rows[place_of(last)] - data_->rows_of_source(source).begin});
      stored += of.nnz[place_of(last)];
    }
    RowBuffers from = straight ? RowBuffers{out.indices.data() + end, out.values.data() + end}
                               : row_scratch(stored);
    if (!run.empty()) {
      const auto room = static_cast<std::size_t>(stored + PackedRows::slack);
      matrix.source(source).decode_rows(run, {from.columns, room}, {from.values, room}, landing);
    }
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t had = of.nnz[place_of(row)];
      const bool is_there = work.read_of_place[place_of(row)] >= 0;
      const auto [nnz, total] = is_there ? finish_row(m, source, from, had) : Finished{};
      if (tokens) {
        const auto count = static_cast<std::size_t>(nnz);
        const auto in_batch = static_cast<std::uint32_t>(row);
        if (is_there) {
          add_tokens(work, place_of(row),
                     {{from.columns, count}, {from.values, count}, total, in_batch}, *tokens);
        }
      } else if (dense) {
        scatter({from.columns, from.values, nnz}, dense_row(out, row));
      } else if (!straight) {
        std::copy_n(from.columns, nnz, out.indices.data() + end);
        std::copy_n(from.values, nnz, out.values.data() + end);
      }
      end += static_cast<std::int32_t>(nnz);
      out.indptr[static_cast<std::size_t>(row) + 1] = end;
      from.columns += had;
      from.values += had;
    }
    first = last;
  }
}

}  // namespace cellmill
