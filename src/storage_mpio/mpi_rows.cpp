#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/parallel_hdf5.hpp"
#include "storage/hdf5_library.hpp"
#include "storage/hdf5_types.hpp"

namespace cellmill {
namespace {

using hdf5::Handle;
using hdf5::Lock;

/// MPI-IO counts bytes in an int; rows are cut well below that.
constexpr std::int64_t bytes_at_once = std::int64_t{1} << 30;

/// A communicator of our own over all ranks, or over this process where MPI isn't running.
class OwnCommunicator {
 public:
  OwnCommunicator() {
    int initialised = 0;
    int finalised = 0;
    MPI_Initialized(&initialised);
    MPI_Finalized(&finalised);
    if (initialised == 0 || finalised != 0) return;
    if (MPI_Comm_dup(MPI_COMM_WORLD, &comm_) != MPI_SUCCESS) {
      throw comm_error("MPI can't make a communicator for the output");
    }
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_size(comm_, &size_);
  }
  OwnCommunicator(const OwnCommunicator&) = delete;
  OwnCommunicator& operator=(const OwnCommunicator&) = delete;
  ~OwnCommunicator() {
    if (running()) MPI_Comm_free(&comm_);
  }

  [[nodiscard]] bool running() const { return comm_ != MPI_COMM_NULL; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] MPI_Comm get() const { return comm_; }

  /// **Collective.** How many ranks failed.
  [[nodiscard]] int count_failed(bool failed) const {
    int mine = failed ? 1 : 0;
    int all = mine;
    if (running() && MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_SUM, comm_) != MPI_SUCCESS) {
      throw comm_error("the ranks can't agree whether the output was written");
    }
    return all;
  }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int size_ = 1;
};

/// A dataset that rows go into.
struct Target {
  Handle dataset;
  Handle type;
  std::vector<hsize_t> shape;
  std::int64_t row_bytes = 0;
};

class MpiRows final : public ParallelRows {
 public:
  explicit MpiRows(const std::filesystem::path& path)
      : path_(path), name_(path.filename().string()) {
    std::string failure;
    {
      const Lock lock;
      const Handle access =
          hdf5::checked(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, Error::Kind::io, path.string());
      if (comm_.running()) H5Pset_fapl_mpio(access.get(), comm_.get(), MPI_INFO_NULL);
      file_ = Handle(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), H5Fclose);
      if (!file_.valid()) failure = hdf5::last_message();
    }
    if (const int failed = comm_.count_failed(!failure.empty()); failed > 0) {
      throw io_error(failure.empty() ? fmt::format("{}: {} of {} ranks can't open it for writing",
                                                   path.string(), failed, comm_.size())
                                     : fmt::format("{}: can't be opened for writing: {}",
                                                   path.string(), failure));
    }
  }

  void write(const std::string& name, std::int64_t first_row,
             std::span<const std::byte> rows) override {
    try {
      with_context(name_ + ": " + name, [&] { write_into(target(name), first_row, rows); });
    } catch (const Error& error) {
      failed_ = true;
      if (error.kind() != Error::Kind::io || !disk_is_full(rows.size())) throw;
      throw io_error(std::string(error.what()) + ": the disk is full");
    }
  }

  void close() override {
    targets_.clear();
    std::string failure;
    {
      const Lock lock;
      if (H5Fflush(file_.get(), H5F_SCOPE_LOCAL) < 0) failure = hdf5::last_message();
    }
    file_.reset();
    if (const int failed = comm_.count_failed(failed_ || !failure.empty()); failed > 0) {
      throw io_error(failure.empty() ? fmt::format("{}: {} of {} ranks could not write their rows",
                                                   name_, failed, comm_.size())
                                     : fmt::format("{}: {}", name_, failure));
    }
  }

 private:
  /// MPI-IO writes less than asked for on a full disk, and doesn't say why.
  [[nodiscard]] bool disk_is_full(std::size_t wanted) const {
    std::error_code failed;
    const std::filesystem::space_info space = std::filesystem::space(path_, failed);
    return !failed && space.available < wanted;
  }

  const Target& target(const std::string& name) {
    const auto found = targets_.find(name);
    if (found != targets_.end()) return found->second;
    const Lock lock;
    const auto own = [](hid_t id, Handle::Close close) {
      return hdf5::checked(id, close, Error::Kind::io, "can't be opened for writing");
    };
    Target target;
    target.dataset = own(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
    const Handle file_type = own(H5Dget_type(target.dataset.get()), H5Tclose);
    const Handle space = own(H5Dget_space(target.dataset.get()), H5Sclose);
    const DType dtype = hdf5::classify(file_type.get()).dtype;
    if (dtype == DType::string) throw input_error("holds strings, expected numbers");
    target.type = hdf5::memory_type_for(file_type.get(), dtype);
    target.shape.resize(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space.get())));
    if (target.shape.empty()) throw input_error("is a scalar, expected rows");
    H5Sget_simple_extent_dims(space.get(), target.shape.data(), nullptr);
    target.row_bytes = static_cast<std::int64_t>(dtype_size(dtype));
    for (std::size_t axis = 1; axis < target.shape.size(); ++axis) {
      target.row_bytes *= static_cast<std::int64_t>(target.shape[axis]);
    }
    return targets_.emplace(name, std::move(target)).first->second;
  }

  static void write_into(const Target& target, std::int64_t first_row,
                         std::span<const std::byte> rows) {
    if (rows.empty()) return;
    const auto bytes = static_cast<std::int64_t>(rows.size());
    const auto total = static_cast<std::int64_t>(target.shape[0]);
    if (target.row_bytes == 0 || bytes % target.row_bytes != 0) {
      throw input_error(fmt::format("{} bytes given, its rows have {}", bytes, target.row_bytes));
    }
    const std::int64_t count = bytes / target.row_bytes;
    if (first_row < 0 || first_row > total - count) {
      throw input_error(fmt::format("rows {}–{} given, it has {}", grouped(first_row),
                                    grouped(first_row + count), grouped(total)));
    }
    const std::int64_t at_once = std::max<std::int64_t>(1, bytes_at_once / target.row_bytes);
    for (std::int64_t done = 0; done < count; done += at_once) {
      const std::int64_t n = std::min(at_once, count - done);
      write_block(target, first_row + done, n, rows.data() + done * target.row_bytes);
    }
  }

  static void write_block(const Target& target, std::int64_t first_row, std::int64_t count,
                          const std::byte* rows) {
    const Lock lock;
    std::vector<hsize_t> start(target.shape.size(), 0);
    std::vector<hsize_t> extent = target.shape;
    start[0] = static_cast<hsize_t>(first_row);
    extent[0] = static_cast<hsize_t>(count);
    const std::string what = "can't write " + human_bytes(count * target.row_bytes);
    const auto own = [&](hid_t id) { return hdf5::checked(id, H5Sclose, Error::Kind::io, what); };
    const Handle in_file = own(H5Dget_space(target.dataset.get()));
    const Handle in_memory =
        own(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr));
    hdf5::check(H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, start.data(), nullptr,
                                    extent.data(), nullptr),
                Error::Kind::io, what);
    // The default transfer is independent: no rank waits for another.
    hdf5::check(H5Dwrite(target.dataset.get(), target.type.get(), in_memory.get(), in_file.get(),
                         H5P_DEFAULT, rows),
                Error::Kind::io, what);
  }

  OwnCommunicator comm_;
  std::filesystem::path path_;
  std::string name_;
  bool failed_ = false;
  Handle file_;
  std::map<std::string, Target> targets_;
};

}  // namespace

std::unique_ptr<ParallelRows> open_parallel_rows(const std::filesystem::path& path) {
  return std::make_unique<MpiRows>(path);
}

}  // namespace cellmill
