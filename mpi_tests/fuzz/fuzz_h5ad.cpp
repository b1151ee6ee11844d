#include <unistd.h>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/info.hpp"
#include "cellmill/anndata/validate.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/storage/claims.hpp"
#include "h5ad_maker.hpp"
#include "temp_folder.hpp"

// An h5ad file that H5adMaker makes of the input, read in every way that there is: as a
// description, as columns and rows of the matrices, and by validate.

namespace {

using namespace cellmill;
namespace fs = std::filesystem;

constexpr std::int64_t most_rows = 300;

void read_matrix(const MatrixSource& matrix, const fs::path& scratch, Arena& arena, bool small) {
  // What isn't in rows on disk is sorted as a whole, as long as all of it is small.
  if (!matrix.has_rows() && (!small || matrix.nnz() > 100'000)) return;
  const Range rows{0, std::min(matrix.n_rows(), most_rows)};
  may_refuse([&] { matrix.prepare(rows, scratch, arena); });
  may_refuse([&] { (void)matrix.columns(rows); });
  may_refuse([&] {
    const FetchedRows fetched = matrix.fetch(rows);
    may_refuse([&] {
      CsrChunk chunk;
      matrix.decode(fetched, chunk);
      // Whoever computes trusts these.
      for (const std::int32_t column : chunk.indices) {
        if (column < 0 || column >= matrix.n_cols()) __builtin_trap();
      }
      if (chunk.nnz() != static_cast<std::int64_t>(chunk.values.size())) __builtin_trap();
    });
    may_refuse([&] {
      CsrRows<double> stored;
      matrix.decode_stored(fetched, stored);
    });
    may_refuse([&] { matrix.visit_rows(fetched, [](const StoredRow&) {}); });
  });
}

void read_frame(const DataFrame& frame) {
  const Range rows{0, std::min(frame.n_rows(), most_rows)};
  may_refuse([&] { (void)frame.index(rows); });
  for (const ColumnInfo& column : frame.columns()) {
    may_refuse([&] {
      const ColumnRows found = frame.read(column.name, rows);
      if (column.kind != ColumnKind::categorical) return;
      const auto levels = static_cast<std::int32_t>(frame.levels(column.name).size());
      for (const std::int32_t code : found.codes) {
        if (code < -1 || code >= levels) __builtin_trap();
      }
    });
  }
}

void read_plate(const fs::path& path, const fs::path& scratch, Arena& arena, bool small) {
  may_refuse([&] {
    const auto plate = AnnData::open(path);
    read_frame(plate->obs());
    read_frame(plate->var());
    if (plate->has_x()) read_matrix(plate->x(), scratch, arena, small);
  });
  may_refuse([&] {
    const auto root = open_anndata_store(path);
    for (const char* name : {"X", "layers/counts", "raw/X"}) {
      may_refuse([&] { read_matrix(*open_matrix(*root, name), scratch, arena, small); });
    }
    for (const char* name : {"obs", "var", "raw/var", "uns/table"}) {
      may_refuse([&] { read_frame(DataFrame(root->group(name))); });
    }
    may_refuse([&] { (void)tree_text(describe_tree(*root)); });
    if (small) validate_anndata(*root, {.most_chunk_bytes = 1 << 20}, arena, {});
  });
  may_refuse([&] { (void)info_text(describe_anndata(path)); });
  may_refuse([&] { (void)rows_text(describe_rows(path, {0, 5})); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TempFolder folder;
  static Arena arena(1);
  static const bool quiet = (configure_log(LogLevel::off, 0), true);
  static const bool bounded = (limit_claims(std::int64_t{256} << 20), true);  // as --memory does
  static_cast<void>(bounded);
  static_cast<void>(quiet);
  const fs::path path = folder.path() / "plate.h5ad";
  FuzzInput input(data, size);
  H5adMaker maker(input);
  bool made = false;
  may_refuse([&] {
    maker.write(path);
    made = true;
  });
  if (made) read_plate(path, folder.path(), arena, maker.is_small());
  return 0;
}
