#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "cellmill/storage/line_reader.hpp"

namespace cellmill {

/// One value of a Matrix Market file; counted from 0.
struct MtxEntry {
  std::int32_t row = 0;
  std::int64_t column = 0;
  float value = 0;
};

/// A Matrix Market file, plain or gzip, entry by entry: `coordinate`, `integer`, `real` or
/// `pattern` (ones), `general`. In a 10x folder rows are genes and columns cells.
class MtxFile {
 public:
  /// \throws Error(input) for another kind of file
  explicit MtxFile(const std::filesystem::path& path);

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }
  [[nodiscard]] std::int64_t entries() const { return entries_; }

  /// The next entry; nothing after the last. \throws Error(input) naming the line, if it is no
  /// entry of this matrix or there are not as many as announced
  [[nodiscard]] std::optional<MtxEntry> next();

 private:
  void read_banner();
  void read_sizes();

  LineReader lines_;
  bool pattern_ = false;
  std::int64_t rows_ = 0;
  std::int64_t columns_ = 0;
  std::int64_t entries_ = 0;
  std::int64_t given_ = 0;
};

}  // namespace cellmill
