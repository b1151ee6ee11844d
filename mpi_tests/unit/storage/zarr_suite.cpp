#include <fstream>

#include "array_suite.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;

/// Cuts the end off the first chunk's (or shard's) file.
void cut_short(const fs::path& file, std::uintmax_t bytes) {
  fs::resize_file(file, fs::file_size(file) - bytes);
}

/// A store made and read by our own implementation.
class NativeBackend : public ArrayBackend {
 public:
  NativeBackend(fs::path store, StoreFormat format, std::string codec)
      : store_(std::move(store)), format_(format), codec_(std::move(codec)) {}

  std::unique_ptr<ArrayWriter> create(const ArraySpec& spec) override {
    ArraySpec mine = spec;
    mine.codec = codec_;
    mine.shard_shape = shards(spec);
    return open_zarr(store_, OpenMode::create, format_)->create_array("group/array", mine);
  }
  std::unique_ptr<Array> open() override { return open_zarr(store_)->array("group/array"); }
  [[nodiscard]] bool supports(Capability /*capability*/) const override { return true; }
  void corrupt_first_chunk() override {
    const bool v3 = format_ == StoreFormat::zarr3;
    cut_short(store_ / "group/array" / (v3 ? "c/0" : "0"), 5);
  }

 protected:
  [[nodiscard]] virtual std::vector<std::int64_t> shards(const ArraySpec& /*spec*/) const {
    return {};
  }
  [[nodiscard]] const fs::path& store() const { return store_; }

 private:
  fs::path store_;
  StoreFormat format_;
  std::string codec_;
};

struct Zarr2Zstd : NativeBackend {
  explicit Zarr2Zstd(fs::path store)
      : NativeBackend(std::move(store), StoreFormat::zarr2, "zstd") {}
};
struct Zarr2Blosc : NativeBackend {
  explicit Zarr2Blosc(fs::path store)
      : NativeBackend(std::move(store), StoreFormat::zarr2, "lz4") {}
};
struct Zarr3Zstd : NativeBackend {
  explicit Zarr3Zstd(fs::path store)
      : NativeBackend(std::move(store), StoreFormat::zarr3, "zstd") {}
};
struct Zarr3Gzip : NativeBackend {
  explicit Zarr3Gzip(fs::path store)
      : NativeBackend(std::move(store), StoreFormat::zarr3, "gzip") {}
};
struct Zarr3Plain : NativeBackend {
  explicit Zarr3Plain(fs::path store)
      : NativeBackend(std::move(store), StoreFormat::zarr3, "none") {}
};

/// Two chunks a shard along every axis.
struct Zarr3Sharded : NativeBackend {
  explicit Zarr3Sharded(fs::path store)
      : NativeBackend(std::move(store), StoreFormat::zarr3, "lz4") {}
  [[nodiscard]] std::vector<std::int64_t> shards(const ArraySpec& spec) const override {
    std::vector<std::int64_t> shape = spec.chunk_shape;
    for (std::int64_t& length : shape) length *= 2;
    return shape;
  }
  void corrupt_first_chunk() override {
    // The first inner chunk begins the file; its blosc header says how long it is.
    std::fstream file(store() / "group/array/c/0", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(12);
    file.write("\xff\xff", 2);
  }
};

struct PackedRowsArray : NativeBackend {
  explicit PackedRowsArray(fs::path store)
      : NativeBackend(std::move(store), StoreFormat::zarr3, "packed_rows") {}
  [[nodiscard]] bool supports(Capability capability) const override {
    return capability != Capability::strings && capability != Capability::scalars &&
           capability != Capability::many_axes;
  }
};

struct PackedRowsSharded : PackedRowsArray {
  using PackedRowsArray::PackedRowsArray;
  [[nodiscard]] std::vector<std::int64_t> shards(const ArraySpec& spec) const override {
    std::vector<std::int64_t> shape = spec.chunk_shape;
    for (std::int64_t& length : shape) length *= 3;
    return shape;
  }
  void corrupt_first_chunk() override {
    std::fstream file(store() / "group/array/c/0", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(40);
    file.write("\xff\xff", 2);
  }
};

/// A store made and read by z5.
class Z5Backend : public ArrayBackend {
 public:
  Z5Backend(fs::path store, StoreFormat format, std::string codec)
      : store_(std::move(store)), format_(format), codec_(std::move(codec)) {}

  std::unique_ptr<ArrayWriter> create(const ArraySpec& spec) override {
    ArraySpec mine = spec;
    mine.codec = codec_;
    return create_z5_array(store_, "group/array", mine, format_);
  }
  std::unique_ptr<Array> open() override { return open_z5_array(store_, "group/array"); }
  [[nodiscard]] bool supports(Capability capability) const override {
    switch (capability) {
      case Capability::missing_chunks:
        return true;
      case Capability::tells_short_chunks:
      case Capability::many_axes:
        return true;
      default:
        return false;
    }
  }
  [[nodiscard]] bool available() const override { return have_z5(); }
  void corrupt_first_chunk() override {
    const bool v3 = format_ == StoreFormat::zarr3;
    cut_short(store_ / "group/array" / (v3 ? "c/0" : "0"), 5);
  }

 private:
  fs::path store_;
  StoreFormat format_;
  std::string codec_;
};

struct Z5Zarr2Blosc : Z5Backend {
  explicit Z5Zarr2Blosc(fs::path store) : Z5Backend(std::move(store), StoreFormat::zarr2, "lz4") {}
};
struct Z5Zarr2Gzip : Z5Backend {
  explicit Z5Zarr2Gzip(fs::path store) : Z5Backend(std::move(store), StoreFormat::zarr2, "gzip") {}
};
struct Z5Zarr3Zstd : Z5Backend {
  explicit Z5Zarr3Zstd(fs::path store) : Z5Backend(std::move(store), StoreFormat::zarr3, "zstd") {}
};
struct Z5Zarr3Plain : Z5Backend {
  explicit Z5Zarr3Plain(fs::path store) : Z5Backend(std::move(store), StoreFormat::zarr3, "none") {}
};

using NativeTypes = testing::Types<Zarr2Zstd, Zarr2Blosc, Zarr3Zstd, Zarr3Gzip, Zarr3Plain,
                                   Zarr3Sharded, PackedRowsArray, PackedRowsSharded>;
INSTANTIATE_TYPED_TEST_SUITE_P(Zarr, ArraySuite, NativeTypes);

using Z5Types = testing::Types<Z5Zarr2Blosc, Z5Zarr2Gzip, Z5Zarr3Zstd, Z5Zarr3Plain>;
INSTANTIATE_TYPED_TEST_SUITE_P(Z5, ArraySuite, Z5Types);

}  // namespace
}  // namespace cellmill
