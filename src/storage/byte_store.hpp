#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/codecs.hpp"

namespace cellmill {

/// One object of a store, open for reading at any place by any thread.
class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;

  [[nodiscard]] virtual std::int64_t size() const = 0;
  /// Bytes [offset, offset + out.size()). \throws Error(input) if it ends before, Error(io)
  virtual void read(std::int64_t offset, std::span<std::byte> out) const = 0;
  /// Memory that it holds, e.g. because it had to be inflated.
  [[nodiscard]] virtual std::int64_t held_bytes() const { return 0; }
};

/// Where the documents and chunks of a Zarr store are kept, under keys like `obs/index/c/0`; for
/// reading, by any thread. Keys never lead out of the store: ZarrGroup checks names.
class ByteStore {
 public:
  ByteStore() = default;
  ByteStore(const ByteStore&) = delete;
  ByteStore& operator=(const ByteStore&) = delete;
  virtual ~ByteStore() = default;

  /// For messages: the path of what is kept under a key.
  [[nodiscard]] virtual std::string place(const std::string& key) const = 0;
  [[nodiscard]] virtual bool exists(const std::string& key) const = 0;
  /// 0 if there is none.
  [[nodiscard]] virtual std::int64_t size(const std::string& key) const = 0;
  /// All bytes, into a buffer that is used again; false if there is none. \throws Error(io),
  /// Error(input) if they are damaged or more than `most`
  [[nodiscard]] virtual bool read_into(const std::string& key, std::int64_t most,
                                       Bytes& out) const = 0;
  /// All bytes; nothing if there is none. \throws as read_into
  [[nodiscard]] std::optional<Bytes> read(const std::string& key, std::int64_t most) const;
  /// Null if there is none.
  [[nodiscard]] virtual std::unique_ptr<ByteSource> open(const std::string& key) const = 0;
  /// Names of the folders directly below a key (empty: the root), sorted.
  [[nodiscard]] virtual std::vector<std::string> folders(const std::string& key) const = 0;
};

/// No document of metadata is longer, by far.
constexpr std::int64_t most_document_bytes = std::int64_t{1} << 30;
/// \throws Error(input) if there are more
void check_most(std::int64_t bytes, std::int64_t most);

/// `name` below `path`; either may be empty.
[[nodiscard]] std::string join_key(const std::string& path, const std::string& name);

/// A folder.
class LocalStore final : public ByteStore {
 public:
  explicit LocalStore(std::filesystem::path root) : root_(std::move(root)) {}

  [[nodiscard]] std::string place(const std::string& key) const override;
  [[nodiscard]] bool exists(const std::string& key) const override;
  [[nodiscard]] std::int64_t size(const std::string& key) const override;
  [[nodiscard]] bool read_into(const std::string& key, std::int64_t most,
                               Bytes& out) const override;
  [[nodiscard]] std::unique_ptr<ByteSource> open(const std::string& key) const override;
  [[nodiscard]] std::vector<std::string> folders(const std::string& key) const override;

 private:
  [[nodiscard]] std::filesystem::path path_of(const std::string& key) const;
  std::filesystem::path root_;
};

}  // namespace cellmill
