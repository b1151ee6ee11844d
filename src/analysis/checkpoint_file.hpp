#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "analysis/range_set.hpp"

namespace cellmill {

/// Rows of arrays that are written, by the array's name.
using RowsOfArrays = std::map<std::string, RangeSet>;

/// What one rank did of a pass. Segments are numbered over all ranks.
struct CheckpointHead {
  std::string run;    ///< which run it belongs to
  Range mine;         ///< the rank's segments
  RangeSet added;     ///< segments that are in its sums; other ranks' too, after a resume
  RangeSet valued;    ///< segments of its own whose values of cells it holds
  RowsOfArrays rows;  ///< of the output, that are on the disk
};

/// A rank's file in a checkpoint: named blocks of bytes, then the head. It appears whole or not at
/// all.
class CheckpointWriter {
 public:
  /// \throws Error(io)
  explicit CheckpointWriter(std::filesystem::path path);
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  ~CheckpointWriter();

  void write(const std::string& name, std::span<const std::byte> bytes);
  template <class T>
  void write(const std::string& name, std::span<const T> values) {
    write(name, std::as_bytes(values));
  }
  /// Syncs, and gives the file its name.
  void commit(const CheckpointHead& head);

 private:
  struct Block {
    std::string name;
    std::size_t bytes = 0;
    std::uint32_t checksum = 0;
  };
  void put(std::span<const std::byte> bytes);

  std::filesystem::path path_;
  std::filesystem::path beside_;
  int file_ = -1;
  std::vector<Block> blocks_;
};

/// \throws Error(input) for a file that is not as it was written, Error(io)
class CheckpointReader {
 public:
  explicit CheckpointReader(std::filesystem::path path);
  CheckpointReader(const CheckpointReader&) = delete;
  CheckpointReader& operator=(const CheckpointReader&) = delete;
  ~CheckpointReader();

  [[nodiscard]] const CheckpointHead& head() const { return head_; }
  [[nodiscard]] bool has(const std::string& name) const { return blocks_.contains(name); }
  [[nodiscard]] std::vector<std::string> names() const;
  /// A block as numbers. \param count how many there must be
  template <class T>
  [[nodiscard]] std::vector<T> read(const std::string& name, std::size_t count) const {
    std::vector<T> values(count);
    read_bytes(name, std::as_writable_bytes(std::span(values)));
    return values;
  }

 private:
  struct Block {
    std::int64_t offset = 0;
    std::size_t bytes = 0;
    std::uint32_t checksum = 0;
  };
  void read_bytes(const std::string& name, std::span<std::byte> out) const;
  void get(std::int64_t offset, std::span<std::byte> out) const;

  std::filesystem::path path_;
  int file_ = -1;
  CheckpointHead head_;
  std::map<std::string, Block> blocks_;
};

}  // namespace cellmill
