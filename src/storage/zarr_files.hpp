#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "storage/byte_store.hpp"

namespace cellmill {

/// A file open for reading.
class InputFile final : public ByteSource {
 public:
  /// Null if there is no such file. \throws Error(io) if it can't be opened
  [[nodiscard]] static std::unique_ptr<InputFile> open(const std::filesystem::path& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile() override;

  [[nodiscard]] std::int64_t size() const override { return size_; }
  void read(std::int64_t offset, std::span<std::byte> out) const override;

 private:
  InputFile(std::filesystem::path path, int descriptor);
  std::filesystem::path path_;
  int descriptor_;
  std::int64_t size_ = 0;
};

/// A file that is written from front to back.
class OutputFile {
 public:
  /// Makes or replaces the file, and the folders above it where they lack. \throws Error(io)
  explicit OutputFile(std::filesystem::path path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  /// \throws Error(io) naming the path and the bytes wanted, e.g. when the disk is full
  void append(std::span<const std::byte> bytes);
  /// Network file systems report a full disk only here. \throws Error(io)
  void close();

 private:
  std::filesystem::path path_;
  int descriptor_;
};

/// All bytes of a file, into a buffer that is used again; false if there is no such file.
/// \throws Error(input) for more than `most`
[[nodiscard]] bool read_file(const std::filesystem::path& path, std::int64_t most, Bytes& out);
/// 0 if there is no such file.
[[nodiscard]] std::int64_t file_bytes(const std::filesystem::path& path);

/// An OutputFile with these bytes.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace cellmill
