#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

/// How many values each row of a store has, kept in a file beside the store's arrays until all are
/// known: an interrupted run finds them there, and memory holds none but the last shard's.
class RowLengths {
 public:
  /// \param folder the store's \param rows that an earlier run wrote, and their total
  /// \throws Error(io) naming the file; Error(input) if it has fewer rows
  RowLengths(const std::filesystem::path& folder, std::int64_t rows);

  /// The next rows. \param indptr their offsets, one more than rows
  void append(std::span<const std::int64_t> indptr);
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  /// Values of all rows so far.
  [[nodiscard]] std::int64_t total() const { return total_; }

  struct Place {
    std::int64_t rows = 0;      ///< that end there or before
    std::int64_t elements = 0;  ///< of the next row before it
  };
  /// Ends of the rows that place() has not passed.
  [[nodiscard]] std::span<const std::int64_t> ends() const { return ends_; }

  /// Reads ends of rows again, from the first on.
  class Ends {
   public:
    /// \param path of a file of RowLengths
    explicit Ends(std::filesystem::path path);
    /// Ends of the rows that hold elements [range); what is asked for only rises.
    [[nodiscard]] std::span<const std::int64_t> of(Range elements);

   private:
    std::filesystem::path path_;
    std::ifstream file_;
    std::int64_t total_ = 0;
    std::vector<std::int64_t> ends_;
  };
  [[nodiscard]] Ends read_ends();

  /// Where an element stands; what is asked for only rises. What was appended is in the file then.
  [[nodiscard]] Place place(std::int64_t element);

  /// Writes the offsets of all rows as the array `name`.
  /// \param check asked now and then; throws to stop
  void finish(Group& parent, const std::string& name, const std::function<void()>& check);
  /// Removes the file.
  void remove();

 private:
  std::filesystem::path path_;
  std::ofstream file_;
  std::int64_t rows_ = 0;
  std::int64_t total_ = 0;
  Place passed_;                    ///< rows, and their values, that place() has passed
  std::vector<std::int64_t> ends_;  ///< of the rows after those
};

}  // namespace cellmill
