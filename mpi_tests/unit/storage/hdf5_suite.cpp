#include <algorithm>
#include <fstream>
#include <iterator>

#include "array_suite.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A file made and read by our own HDF5 code.
class Hdf5Backend : public ArrayBackend {
 public:
  Hdf5Backend(fs::path file, std::string codec)
      : file_(std::move(file)), codec_(std::move(codec)) {}

  std::unique_ptr<ArrayWriter> create(const ArraySpec& spec) override {
    ArraySpec mine = spec;
    mine.codec = codec_;
    root_ = open_hdf5(file_, OpenMode::create);
    return root_->create_array("group/array", mine);
  }
  std::unique_ptr<Array> open() override {
    root_->flush();
    return open_hdf5(file_)->array("group/array");
  }
  [[nodiscard]] bool supports(Capability capability) const override {
    const bool chunked =
        capability == Capability::missing_chunks || capability == Capability::tells_short_chunks;
    return !chunked || codec_ == "gzip";
  }
  void corrupt_first_chunk() override {
    const EncodedChunk chunk = open()->fetch(0);
    std::string bytes = read_file(file_);
    const std::string stored(reinterpret_cast<const char*>(chunk.bytes.data()), chunk.bytes.size());
    const std::size_t at = bytes.find(stored);
    ASSERT_NE(at, std::string::npos);
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at + stored.size() / 2));
    file.write("\xFF\xFF\xFF\xFF", 4);
  }

 private:
  fs::path file_;
  std::string codec_;
  std::unique_ptr<Group> root_;
};

struct Hdf5Contiguous : Hdf5Backend {
  explicit Hdf5Contiguous(fs::path file) : Hdf5Backend(std::move(file), "none") {}
};
struct Hdf5Gzip : Hdf5Backend {
  explicit Hdf5Gzip(fs::path file) : Hdf5Backend(std::move(file), "gzip") {}
};

INSTANTIATE_TYPED_TEST_SUITE_P(Hdf5Contiguous, ArraySuite, Hdf5Contiguous);
INSTANTIATE_TYPED_TEST_SUITE_P(Hdf5Gzip, ArraySuite, Hdf5Gzip);

}  // namespace
}  // namespace cellmill
