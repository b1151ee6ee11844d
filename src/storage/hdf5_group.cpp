#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/storage/group.hpp"
#include "storage/element_path.hpp"
#include "storage/hdf5_array.hpp"
#include "storage/hdf5_attributes.hpp"
#include "storage/hdf5_fields.hpp"
#include "storage/hdf5_file.hpp"
#include "storage/hdf5_table.hpp"
#include "storage/hdf5_writer.hpp"

namespace cellmill {

namespace hdf5 {
namespace {

herr_t collect_link(hid_t /*group*/, const char* name, const H5L_info_t* /*info*/, void* to) {
  static_cast<std::vector<std::string>*>(to)->emplace_back(name);
  return 0;
}

class FileGroup final : public Group {
 public:
  /// \param path from the root, empty for the root
  FileGroup(std::shared_ptr<File> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)), location_(file_->location_of(path_)) {}

  [[nodiscard]] const std::string& location() const override { return location_; }
  [[nodiscard]] StoreFormat format() const override { return StoreFormat::hdf5; }

  [[nodiscard]] NodeKind kind(const std::string& name) const override {
    const std::string path = path_of(name);
    const Lock lock;
    // Asked link by link: libhdf5 calls it an error if a folder on the way is missing.
    for (std::size_t end = path.find('/'); end != std::string::npos;
         end = path.find('/', end + 1)) {
      if (!exists(path.substr(0, end))) return NodeKind::none;
    }
    if (!path.empty() && !exists(path)) return NodeKind::none;
    const Handle object(open(path), H5Oclose);
    if (!object.valid()) return NodeKind::none;
    switch (H5Iget_type(object.get())) {
      case H5I_GROUP:
        return NodeKind::group;
      case H5I_DATASET:
        return NodeKind::array;
      default:
        return NodeKind::none;
    }
  }

  [[nodiscard]] std::vector<std::string> keys() const override {
    const Lock lock;
    const Handle self = open_object(path_, Error::Kind::input);
    std::vector<std::string> names;
    check(H5Literate(self.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_link, &names),
          Error::Kind::input, location_);
    std::sort(names.begin(), names.end());
    return names;
  }

  [[nodiscard]] std::unique_ptr<Group> group(const std::string& name) const override {
    expect(name, NodeKind::group);
    return std::make_unique<FileGroup>(file_, path_of(name));
  }

  [[nodiscard]] std::unique_ptr<Array> array(const std::string& name) const override {
    expect(name, NodeKind::array);
    return open_array(file_, path_of(name));
  }

  [[nodiscard]] std::unique_ptr<Array> field(const std::string& name,
                                             const std::string& field) const override {
    expect(name, NodeKind::array);
    return open_field(file_, path_of(name), field);
  }

  [[nodiscard]] nlohmann::json attributes(const std::string& name) const override {
    const std::string path = path_of(name);
    if (kind(name) == NodeKind::none) throw missing(path);
    const Lock lock;
    const Handle object = open_object(path, Error::Kind::input);
    return with_context(file_->location_of(path), [&] { return read_attributes(object.get()); });
  }

  std::unique_ptr<Group> create_group(const std::string& name) override {
    const std::string path = path_of(name);
    const Lock lock;
    expect_free(name);
    const Handle links = make_links();
    (void)checked(H5Gcreate2(file_->id(), path.c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT),
                  H5Gclose, Error::Kind::io, file_->location_of(path));
    file_->check_written();
    return std::make_unique<FileGroup>(file_, path);
  }

  std::unique_ptr<ArrayWriter> create_array(const std::string& name,
                                            const ArraySpec& spec) override {
    const Lock lock;
    expect_free(name);
    return hdf5::create_array(file_, path_of(name), spec);
  }

  void create_table(const std::string& name, std::span<const TableColumn> columns) override {
    const Lock lock;
    expect_free(name);
    write_table(*file_, path_of(name), columns);
  }

  void create_null(const std::string& name) override {
    const std::string path = path_of(name);
    const Lock lock;
    expect_free(name);
    const auto own = [&](hid_t id, Handle::Close close) {
      return checked(id, close, Error::Kind::io, file_->location_of(path));
    };
    const Handle links = make_links();
    const Handle space = own(H5Screate(H5S_NULL), H5Sclose);
    (void)own(H5Dcreate2(file_->id(), path.c_str(), H5T_NATIVE_FLOAT, space.get(), links.get(),
                         H5P_DEFAULT, H5P_DEFAULT),
              H5Dclose);
    file_->check_written();
  }

  std::unique_ptr<ArrayWriter> open_writer(const std::string& name) override {
    expect(name, NodeKind::array);
    return hdf5::open_writer(file_, path_of(name));
  }

  void set_attributes(const std::string& name, const nlohmann::json& attributes) override {
    const std::string path = path_of(name);
    const Lock lock;
    const Handle object = open_object(path, Error::Kind::io);
    with_context(file_->location_of(path), [&] { write_attributes(object.get(), attributes); });
    file_->check_written();
  }

  void flush() override { file_->flush(); }

 private:
  /// A name in this group as a path from the root, without a slash in front.
  [[nodiscard]] std::string path_of(const std::string& name) const {
    if (name.empty() || name == "/") return path_;
    std::string path = path_.empty() ? name : path_ + '/' + name;
    check_depth(file_->location_of(""), path);
    return path;
  }

  [[nodiscard]] bool exists(const std::string& path) const {
    return H5Lexists(file_->id(), path.c_str(), H5P_DEFAULT) > 0;
  }

  [[nodiscard]] hid_t open(const std::string& path) const {
    return H5Oopen(file_->id(), path.empty() ? "/" : path.c_str(), H5P_DEFAULT);
  }

  [[nodiscard]] Handle open_object(const std::string& path, Error::Kind kind) const {
    return checked(open(path), H5Oclose, kind, file_->location_of(path));
  }

  [[nodiscard]] Error missing(const std::string& path) const {
    return missing_error(file_->location_of(path) + ": there is no such element");
  }

  void expect_free(const std::string& name) const {
    if (kind(name) != NodeKind::none) {
      throw input_error(file_->location_of(path_of(name)) + ": exists already");
    }
  }

  void expect(const std::string& name, NodeKind wanted) const {
    const NodeKind found = kind(name);
    if (found == wanted) return;
    const std::string path = path_of(name);
    if (found == NodeKind::none) throw missing(path);
    throw input_error(fmt::format("{}: is {}, expected {}", file_->location_of(path),
                                  found == NodeKind::group ? "a group" : "an array",
                                  wanted == NodeKind::group ? "a group" : "an array"));
  }

  std::shared_ptr<File> file_;
  std::string path_;
  std::string location_;
};

}  // namespace
}  // namespace hdf5

std::unique_ptr<Group> open_hdf5(const std::filesystem::path& path, OpenMode mode) {
  return std::make_unique<hdf5::FileGroup>(std::make_shared<hdf5::File>(path, mode), "");
}

}  // namespace cellmill
