#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "storage/byte_store.hpp"
#include "storage/zip_directory.hpp"

namespace cellmill {

/// A zip archive. Stored files are read where they lie; deflated ones are inflated whole.
class ZipStore final : public ByteStore {
 public:
  /// \throws Error(not_found), Error(input) naming the archive, if it is none or refused
  explicit ZipStore(const std::filesystem::path& path);
  /// \param path for messages
  ZipStore(std::string path, std::shared_ptr<const ByteSource> archive);

  [[nodiscard]] std::string place(const std::string& key) const override;
  [[nodiscard]] bool exists(const std::string& key) const override;
  [[nodiscard]] std::int64_t size(const std::string& key) const override;
  [[nodiscard]] bool read_into(const std::string& key, std::int64_t most,
                               Bytes& out) const override;
  [[nodiscard]] std::unique_ptr<ByteSource> open(const std::string& key) const override;
  [[nodiscard]] std::vector<std::string> folders(const std::string& key) const override;

 private:
  [[nodiscard]] const ZipMember* find(const std::string& key) const;
  /// The whole file, its checksum verified.
  void unpack(const ZipMember& member, Bytes& to) const;

  std::string path_;
  std::shared_ptr<const ByteSource> archive_;
  ZipDirectory directory_;
};

/// Whether a file begins as zip archives do (an empty one does not).
[[nodiscard]] bool is_zip_file(const std::filesystem::path& path);

}  // namespace cellmill
