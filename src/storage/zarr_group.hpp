#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/storage/group.hpp"
#include "storage/byte_store.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

enum class Access { read_only, read_write };

/// A Zarr store and how it was opened; shared by the groups in it.
struct ZarrStore {
  std::shared_ptr<const ByteStore> bytes;  ///< what is read
  std::filesystem::path root;              ///< where files are written: a folder
  std::string name;                        ///< for messages
  StoreFormat format = StoreFormat::zarr3;
  Access access = Access::read_only;
};

/// A group of a Zarr store: a key with `.zgroup` (v2) or `zarr.json` (v3) below. Those documents
/// count; consolidated metadata is looked at where there are no others (open_zarr).
class ZarrGroup : public Group {
 public:
  /// \param path inside the store, empty for its root
  ZarrGroup(std::shared_ptr<const ZarrStore> store, std::string path);

  [[nodiscard]] const std::string& location() const override { return location_; }
  [[nodiscard]] StoreFormat format() const override { return store_->format; }
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
  void create_table(const std::string& name, std::span<const TableColumn> columns) override;
  void create_null(const std::string& name) override;
  std::unique_ptr<ArrayWriter> open_writer(const std::string& name) override;
  void set_attributes(const std::string& name, const nlohmann::json& attributes) override;
  void flush() override {}  // every call has written its files when it returns

 private:
  [[nodiscard]] std::string path_of(const std::string& name) const;
  [[nodiscard]] std::string location_of(const std::string& name) const;
  [[nodiscard]] std::filesystem::path folder_of(const std::string& name) const;
  [[nodiscard]] ZarrMetadata metadata_of(const std::string& name) const;
  void expect_writable() const;
  void expect_kind(const std::string& name, NodeKind kind) const;
  void expect_new(const std::string& name) const;
  void make_groups_above(const std::string& name);
  [[nodiscard]] std::unique_ptr<Group> open_child(const std::string& name) const;

  std::shared_ptr<const ZarrStore> store_;
  std::string path_;
  std::string location_;
};

/// The kind of node that the documents under a key describe.
[[nodiscard]] NodeKind zarr_node_kind(const ByteStore& store, const std::string& path,
                                      StoreFormat format);
/// The format of a store's root; nothing if it is none.
[[nodiscard]] std::optional<StoreFormat> zarr_format(const ByteStore& store);
/// Names of the nodes below a key, sorted.
[[nodiscard]] std::vector<std::string> zarr_children(const ByteStore& store,
                                                     const std::string& path, StoreFormat format);
/// Writes an empty group's document.
void write_zarr_group(const std::filesystem::path& folder, StoreFormat format);

}  // namespace cellmill
