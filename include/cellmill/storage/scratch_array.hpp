#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/array.hpp"
#include "cellmill/storage/scratch_file.hpp"

namespace cellmill {

/// What a 1-D array in a scratch file is made of: blocks of equally many elements, the last one
/// shorter.
struct ScratchBlocks {
  std::shared_ptr<ScratchFile> file;
  ArrayInfo info;
  struct Block {
    std::int64_t offset = 0;
    std::int64_t bytes = 0;
  };
  std::vector<Block> blocks;
};

/// Reads it, as often as one likes. The file lives as long as someone may read it.
[[nodiscard]] std::unique_ptr<Array> open_scratch_array(
    std::shared_ptr<const ScratchBlocks> blocks);

/// Builds such an array by appending, with one block in memory. Instantiated for int32_t, int64_t,
/// float.
template <class T>
class ScratchArrayWriter {
 public:
  ScratchArrayWriter(std::shared_ptr<ScratchFile> file, std::string location);

  void append(T value) {
    block_.push_back(value);
    if (block_.size() == block_elements) flush();
  }
  void append(std::span<const T> values) {
    for (const T value : values) append(value);
  }
  [[nodiscard]] std::shared_ptr<const ScratchBlocks> finish();

 private:
  static constexpr std::size_t block_elements = 65'536;
  void flush();

  std::shared_ptr<ScratchBlocks> made_;
  std::vector<T> block_;
};

/// The same for numbers of a type that is known only when it runs.
class ScratchElementsWriter {
 public:
  ScratchElementsWriter(std::shared_ptr<ScratchFile> file, std::string location, DType dtype);

  void append(const std::byte* element) {
    block_.insert(block_.end(), element, element + width_);
    if (block_.size() == width_ * block_elements) flush();
  }
  [[nodiscard]] std::shared_ptr<const ScratchBlocks> finish();

 private:
  static constexpr std::size_t block_elements = 65'536;
  void flush();

  std::shared_ptr<ScratchBlocks> made_;
  std::size_t width_;
  std::vector<std::byte> block_;
};

/// The same for strings.
class ScratchStringsWriter {
 public:
  ScratchStringsWriter(std::shared_ptr<ScratchFile> file, std::string location);

  void append(std::string_view value);
  [[nodiscard]] std::int64_t size() const { return made_->info.shape[0] + block_.size(); }
  [[nodiscard]] std::shared_ptr<const ScratchBlocks> finish();

 private:
  static constexpr std::int64_t block_strings = 16'384;
  void flush();

  std::shared_ptr<ScratchBlocks> made_;
  Strings block_;
};

}  // namespace cellmill
