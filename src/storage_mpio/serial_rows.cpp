#include <map>
#include <memory>
#include <string>

#include "cellmill/storage/group.hpp"
#include "cellmill/storage/parallel_hdf5.hpp"

namespace cellmill {
namespace {

/// One process, serial HDF5.
class SerialRows final : public ParallelRows {
 public:
  explicit SerialRows(const std::filesystem::path& path)
      : root_(open_hdf5(path, OpenMode::update)) {}

  void write(const std::string& name, std::int64_t first_row,
             std::span<const std::byte> rows) override {
    std::unique_ptr<ArrayWriter>& writer = writers_[name];
    if (writer == nullptr) writer = root_->open_writer(name);
    writer->write_rows(first_row, rows);
  }

  void close() override {
    writers_.clear();
    root_->flush();
    root_.reset();
  }

 private:
  std::unique_ptr<Group> root_;
  std::map<std::string, std::unique_ptr<ArrayWriter>> writers_;
};

}  // namespace

std::unique_ptr<ParallelRows> open_parallel_rows(const std::filesystem::path& path) {
  return std::make_unique<SerialRows>(path);
}

}  // namespace cellmill
