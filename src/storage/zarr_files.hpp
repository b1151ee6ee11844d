#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

#include "storage/codecs.hpp"

namespace cellmill {

/// A file open for reading at any place, by any thread.
class InputFile {
 public:
  /// Nothing if there is no such file. \throws Error(io) if it can't be opened
  [[nodiscard]] static std::optional<InputFile> open(const std::filesystem::path& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  [[nodiscard]] std::int64_t size() const { return size_; }
  /// Bytes [offset, offset + out.size()). \throws Error(input) if the file ends before, Error(io)
  void read(std::int64_t offset, std::span<std::byte> out) const;

 private:
  InputFile(std::filesystem::path path, int descriptor, std::int64_t size);
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

/// All bytes of a file; nothing if there is no such file.
[[nodiscard]] std::optional<Bytes> read_file(const std::filesystem::path& path);
/// 0 if there is no such file.
[[nodiscard]] std::int64_t file_bytes(const std::filesystem::path& path);

/// Makes or replaces a file, and the folders above it where they lack. \throws Error(io) naming the
/// path and the bytes wanted, e.g. when the disk is full
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace cellmill
