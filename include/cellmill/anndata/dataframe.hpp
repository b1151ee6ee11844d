#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

enum class ColumnKind {
  numeric,
  boolean,
  string,
  categorical,
  nullable_integer,
  nullable_boolean,
  nullable_string,
  unsupported  ///< listed, but reading it is an error that says why
};

/// What a column is, without its rows.
struct ColumnInfo {
  std::string name;
  ColumnKind kind = ColumnKind::numeric;
  DType dtype = DType::float64;  ///< numeric, nullable: as on disk; categorical: of the categories
                                 ///< (string, or a number type)
  bool ordered = false;          ///< categorical
};

/// Some rows of a column. Which members are filled depends on the kind.
struct ColumnRows {
  std::vector<double> numbers;         ///< numeric float kinds
  std::vector<std::int64_t> integers;  ///< integers, booleans (0, 1)
  std::vector<std::int32_t> codes;     ///< categorical: index into levels, −1 missing
  Strings strings;                     ///< string kinds
  std::vector<bool> missing;           ///< nullable kinds: true = missing; empty otherwise
};

/// The arrays behind a column.
struct ColumnArrays;

/// obs or var on disk: which columns there are, and any rows of any of them. All metadata is read
/// when it is made; reading rows is thread-safe.
class DataFrame {
 public:
  /// \param group the dataframe's group, encoding `dataframe` 0.2.0 (anndata ≥ 0.8);
  /// `open_anndata_store` presents older ones so
  /// \throws Error(input) if it is no such group, or its columns are not all of one length
  explicit DataFrame(std::unique_ptr<Group> group);
  DataFrame(DataFrame&&) noexcept;
  DataFrame& operator=(DataFrame&&) noexcept;
  ~DataFrame();

  [[nodiscard]] std::int64_t n_rows() const { return n_rows_; }
  [[nodiscard]] const std::string& location() const { return group_->location(); }
  [[nodiscard]] const std::string& index_name() const {
    return index_name_;
  }  ///< name of the index array on disk
  [[nodiscard]] const std::vector<ColumnInfo>& columns() const {
    return columns_;
  }  ///< in column-order
  [[nodiscard]] bool has(const std::string& name) const;
  /// \throws Error(missing) naming the nearest columns
  [[nodiscard]] const ColumnInfo& column(const std::string& name) const;

  [[nodiscard]] Strings index(Range rows) const;
  [[nodiscard]] ColumnRows read(const std::string& name, Range rows) const;
  /// Categories of a categorical column; numbers as text where they are numbers.
  [[nodiscard]] Strings levels(const std::string& name) const;
  /// The same as numbers, where `dtype` of the column says they are.
  [[nodiscard]] std::vector<double> numeric_levels(const std::string& name) const;

 private:
  [[nodiscard]] std::size_t place_of(const std::string& name) const;
  [[nodiscard]] const ColumnArrays& categorical(const std::string& name) const;

  std::unique_ptr<Group> group_;
  std::string index_name_;
  std::int64_t n_rows_ = 0;
  std::unique_ptr<Array> index_;
  std::vector<ColumnInfo> columns_;
  std::vector<ColumnArrays> arrays_;           ///< in the order of columns_
  std::map<std::string, std::size_t> places_;  ///< in columns_, by name
};

}  // namespace cellmill
