#include "cellmill/storage/scratch_array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

std::shared_ptr<ScratchBlocks> start(std::shared_ptr<ScratchFile> file, std::string location,
                                     DType dtype, std::int64_t block_elements) {
  auto blocks = std::make_shared<ScratchBlocks>();
  blocks->file = std::move(file);
  blocks->info.location = std::move(location);
  blocks->info.dtype = dtype;
  blocks->info.shape = {0};
  blocks->info.chunk_shape = {block_elements};
  blocks->info.codecs = "none";
  return blocks;
}

void append_block(ScratchBlocks& to, std::span<const std::byte> bytes, std::int64_t elements) {
  to.blocks.push_back({to.file->append(bytes), static_cast<std::int64_t>(bytes.size())});
  to.info.shape[0] += elements;
}

/// A block of strings is their lengths, as int32, and then their characters.
using Length = std::int32_t;

class ScratchArray final : public Array {
 public:
  explicit ScratchArray(std::shared_ptr<const ScratchBlocks> made) : made_(std::move(made)) {}

  [[nodiscard]] const ArrayInfo& info() const override { return made_->info; }

  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override {
    const ScratchBlocks::Block& block = made_->blocks.at(static_cast<std::size_t>(chunk));
    EncodedChunk encoded;
    encoded.chunk = chunk;
    const std::span<std::byte> to = encoded.own(static_cast<std::size_t>(block.bytes));
    with_context(info().location, [&] { made_->file->read(block.offset, to); });
    return encoded;
  }

  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t chunk) const override {
    return made_->blocks.at(static_cast<std::size_t>(chunk)).bytes;
  }

  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override {
    if (info().dtype == DType::string) {
      throw input_error(info().location + ": holds strings, expected numbers");
    }
    std::ranges::copy(encoded.bytes, out.begin());
    std::ranges::fill(out.subspan(encoded.bytes.size()), std::byte{});
  }

  [[nodiscard]] Strings read_strings(Range range) const override {
    if (info().dtype != DType::string) {
      throw input_error(info().location + ": holds numbers, expected strings");
    }
    if (range.begin < 0 || range.end < range.begin || range.end > info().shape[0]) {
      throw input_error(fmt::format("{}: rows {}–{} asked for, it has {}", info().location,
                                    grouped(range.begin), grouped(range.end),
                                    grouped(info().shape[0])));
    }
    Strings strings;
    const std::int64_t size = info().chunk_shape[0];
    for (std::int64_t block = range.begin / size; block * size < range.end; ++block) {
      const std::int64_t first = block * size;
      const std::int64_t count = std::min(size, info().shape[0] - first);
      append_strings(
          fetch(block).bytes, count,
          {std::max(range.begin - first, std::int64_t{0}), std::min(range.end - first, count)},
          strings);
    }
    return strings;
  }

 private:
  static void append_strings(std::span<const std::byte> block, std::int64_t count, Range wanted,
                             Strings& to) {
    std::vector<Length> lengths(static_cast<std::size_t>(count));
    std::memcpy(lengths.data(), block.data(), lengths.size() * sizeof(Length));
    const auto* text =
        reinterpret_cast<const char*>(block.data() + lengths.size() * sizeof(Length));
    for (std::int64_t i = 0; i < wanted.end; ++i) {
      const auto length = static_cast<std::size_t>(lengths[static_cast<std::size_t>(i)]);
      if (i >= wanted.begin) to.push_back({text, length});
      text += length;
    }
  }

  std::shared_ptr<const ScratchBlocks> made_;
};

}  // namespace

std::unique_ptr<Array> open_scratch_array(std::shared_ptr<const ScratchBlocks> blocks) {
  return std::make_unique<ScratchArray>(std::move(blocks));
}

template <class T>
ScratchArrayWriter<T>::ScratchArrayWriter(std::shared_ptr<ScratchFile> file, std::string location)
    : made_(start(std::move(file), std::move(location), dtype_of<T>(), block_elements)) {
  block_.reserve(block_elements);
}

template <class T>
void ScratchArrayWriter<T>::flush() {
  append_block(*made_, std::as_bytes(std::span(block_)), static_cast<std::int64_t>(block_.size()));
  block_.clear();
}

template <class T>
std::shared_ptr<const ScratchBlocks> ScratchArrayWriter<T>::finish() {
  if (!block_.empty()) flush();
  return std::move(made_);
}

ScratchElementsWriter::ScratchElementsWriter(std::shared_ptr<ScratchFile> file,
                                             std::string location, DType dtype)
    : made_(start(std::move(file), std::move(location), dtype, block_elements)),
      width_(dtype_size(dtype)) {}

void ScratchElementsWriter::flush() {
  append_block(*made_, block_, static_cast<std::int64_t>(block_.size() / width_));
  block_.clear();
}

std::shared_ptr<const ScratchBlocks> ScratchElementsWriter::finish() {
  if (!block_.empty()) flush();
  return std::move(made_);
}

ScratchStringsWriter::ScratchStringsWriter(std::shared_ptr<ScratchFile> file, std::string location)
    : made_(start(std::move(file), std::move(location), DType::string, block_strings)) {}

void ScratchStringsWriter::append(std::string_view value) {
  block_.push_back(value);
  if (block_.size() == block_strings) flush();
}

void ScratchStringsWriter::flush() {
  std::vector<Length> lengths;
  std::string text;
  for (std::int64_t i = 0; i < block_.size(); ++i) {
    lengths.push_back(static_cast<Length>(block_[i].size()));
    text += block_[i];
  }
  const auto head = std::as_bytes(std::span(lengths));
  const auto tail = std::as_bytes(std::span(text));
  std::vector<std::byte> bytes(head.begin(), head.end());
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  append_block(*made_, bytes, block_.size());
  block_ = Strings();
}

std::shared_ptr<const ScratchBlocks> ScratchStringsWriter::finish() {
  if (!block_.empty()) flush();
  return std::move(made_);
}

template class ScratchArrayWriter<std::int32_t>;
template class ScratchArrayWriter<std::int64_t>;
template class ScratchArrayWriter<float>;

}  // namespace cellmill
