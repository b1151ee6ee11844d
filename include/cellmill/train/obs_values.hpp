#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cellmill/anndata/column_join.hpp"
#include "cellmill/storage/strings.hpp"

namespace cellmill {

/// A column of obs in memory, over all rows of a data set, in the smallest type that holds it:
/// batches need values of any rows.
class ObsValues {
 public:
  enum class Kind { codes, integers, numbers };

  /// Starts an empty column; `append` adds rows in order.
  ObsValues(const JoinedColumn& column, std::int64_t n_rows);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Of codes: what they mean.
  [[nodiscard]] const Strings& levels() const { return levels_; }
  [[nodiscard]] bool ordered() const { return ordered_; }
  [[nodiscard]] std::int64_t size() const;
  /// Bytes of memory.
  [[nodiscard]] std::int64_t bytes() const;

  /// Codes (−1: missing) or integers of some rows, in their order; −1 for row −1.
  void gather(std::span<const std::int64_t> rows, std::span<std::int64_t> out) const;
  /// Numbers of some rows; NaN where missing and for row −1.
  void gather(std::span<const std::int64_t> rows, std::span<double> out) const;

  /// The same column with these levels, in this order; values that are not among them are missing.
  /// \throws Error(usage) if it holds numbers, if levels repeat or if no value of a column that has
  /// some is among them
  [[nodiscard]] ObsValues with_levels(std::span<const std::string> levels) const;

  /// The next rows, as append_rows (column_join.hpp) made them. Text becomes codes: levels in the
  /// order in which they are met. Missing integers make all of the column numbers.
  void append(const ColumnRows& rows);

 private:
  explicit ObsValues(std::string name) : name_(std::move(name)) {}
  void append_codes(std::span<const std::int32_t> codes);
  [[nodiscard]] std::int32_t code_of(std::string_view text);

  std::string name_;
  Kind kind_ = Kind::codes;
  bool ordered_ = false;
  Strings levels_;
  std::map<std::string, std::int32_t, std::less<>> code_of_;
  std::variant<std::vector<std::int8_t>, std::vector<std::int16_t>, std::vector<std::int32_t>,
               std::vector<std::int64_t>, std::vector<float>, std::vector<double>>
      values_;
};

}  // namespace cellmill
