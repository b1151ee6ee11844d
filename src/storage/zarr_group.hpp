#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/storage/group.hpp"

namespace cellmill {

enum class Access { read_only, read_write };

/// A group of a local Zarr store: a folder with `.zgroup` (v2) or `zarr.json` (v3). The documents
/// in the folders count, consolidated metadata is not looked at.
class ZarrGroup : public Group {
 public:
  /// \param store_name for messages; `path` inside the store, empty for its root
  ZarrGroup(std::filesystem::path root, std::string store_name, std::string path,
            StoreFormat format, Access access);

  [[nodiscard]] const std::string& location() const override { return location_; }
  [[nodiscard]] StoreFormat format() const override { return format_; }
  [[nodiscard]] NodeKind kind(const std::string& name) const override;
  [[nodiscard]] std::vector<std::string> keys() const override;
  [[nodiscard]] std::unique_ptr<Group> group(const std::string& name) const override;
  [[nodiscard]] std::unique_ptr<Array> array(const std::string& name) const override;
  [[nodiscard]] std::unique_ptr<Array> field(const std::string& name,
                                             const std::string& field) const override;
  [[nodiscard]] nlohmann::json attributes(const std::string& name) const override;
  std::unique_ptr<Group> create_group(const std::string& name) override;
  std::unique_ptr<ArrayWriter> create_array(const std::string& name,
                                            const ArraySpec& spec) override;
  std::unique_ptr<ArrayWriter> open_writer(const std::string& name) override;
  void set_attributes(const std::string& name, const nlohmann::json& attributes) override;
  void flush() override {}  // every call has written its files when it returns

 private:
  [[nodiscard]] std::string path_of(const std::string& name) const;
  [[nodiscard]] std::string location_of(const std::string& name) const;
  [[nodiscard]] std::filesystem::path folder_of(const std::string& name) const;
  void expect_kind(const std::string& name, NodeKind kind) const;
  void expect_new(const std::string& name) const;
  void make_groups_above(const std::string& name);
  [[nodiscard]] std::unique_ptr<Group> open_child(const std::string& name) const;

  std::filesystem::path root_;
  std::string store_name_;
  std::string path_;
  std::string location_;
  StoreFormat format_;
  Access access_;
};

/// The kind of node that the documents in a folder describe.
[[nodiscard]] NodeKind zarr_node_kind(const std::filesystem::path& folder, StoreFormat format);
/// The format of a store's root; nothing if it is none.
[[nodiscard]] std::optional<StoreFormat> zarr_format(const std::filesystem::path& folder);
/// Names of the nodes below a folder, sorted.
[[nodiscard]] std::vector<std::string> zarr_children(const std::filesystem::path& folder,
                                                     StoreFormat format);
/// Writes an empty group's document.
void write_zarr_group(const std::filesystem::path& folder, StoreFormat format);

}  // namespace cellmill
