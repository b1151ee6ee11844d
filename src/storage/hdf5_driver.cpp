#include "storage/hdf5_driver.hpp"

#include <H5FDpublic.h>
#include <H5version.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <system_error>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill::hdf5 {

/// Libhdf5 knows it as the H5FD_t that is its base.
class Driver : public H5FD_t {
 public:
  Driver(int opened, const struct stat& status)
      : H5FD_t{}, fd(opened), size(status.st_size), device(status.st_dev), inode(status.st_ino) {}
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver() { ::close(fd); }

  int fd;
  std::int64_t size;      ///< what libhdf5 believes, once a write has failed
  int write_failure = 0;  ///< the first one's errno
  dev_t device;
  ino_t inode;
  haddr_t end_of_allocation = 0;
  Extent* note = nullptr;  ///< while set, raw data is located and not read
};

namespace {

Driver& self(H5FD_t* file) { return *static_cast<Driver*>(file); }
const Driver& self(const H5FD_t* file) { return *static_cast<const Driver*>(file); }

H5FD_t* open_file(const char* name, unsigned flags, hid_t /*access*/, haddr_t /*max_address*/) {
  int how = O_CLOEXEC | ((flags & H5F_ACC_RDWR) != 0 ? O_RDWR : O_RDONLY);
  if ((flags & H5F_ACC_CREAT) != 0) how |= O_CREAT;
  if ((flags & H5F_ACC_EXCL) != 0) how |= O_EXCL;
  if ((flags & H5F_ACC_TRUNC) != 0) how |= O_TRUNC;
  constexpr mode_t permissions = 0666;  // less the user's mask
  const int fd = ::open(name, how, permissions);
  if (fd < 0) return nullptr;
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    ::close(fd);
    return nullptr;
  }
  return std::make_unique<Driver>(fd, status).release();
}

herr_t close_file(H5FD_t* file) {
  const std::unique_ptr<Driver> closing(&self(file));
  return 0;
}

int compare(const H5FD_t* a, const H5FD_t* b) {
  const auto key = [](const H5FD_t* file) {
    return std::pair(self(file).device, self(file).inode);
  };
  return key(a) < key(b) ? -1 : (key(b) < key(a) ? 1 : 0);
}

herr_t query(const H5FD_t* /*file*/, unsigned long* flags) {
  *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
  return 0;
}

haddr_t end_of_allocation(const H5FD_t* file, H5FD_mem_t /*type*/) {
  return self(file).end_of_allocation;
}

herr_t set_end_of_allocation(H5FD_t* file, H5FD_mem_t /*type*/, haddr_t address) {
  self(file).end_of_allocation = address;
  return 0;
}

haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t /*type*/) {
  return static_cast<haddr_t>(self(file).size);
}

herr_t get_handle(H5FD_t* file, hid_t /*access*/, void** handle) {
  *handle = &self(file);
  return 0;
}

herr_t read(H5FD_t* file, H5FD_mem_t type, hid_t /*transfer*/, haddr_t address, std::size_t size,
            void* to) {
  const Extent extent{static_cast<std::int64_t>(address), static_cast<std::int64_t>(size)};
  Driver& driver = self(file);
  if (type == H5FD_MEM_DRAW && driver.note != nullptr) {
    *driver.note = extent;
    return 0;
  }
  // Space that was allocated but never written may lie behind the file's end: it reads as zeros.
  const std::int64_t there = std::clamp<std::int64_t>(driver.size - extent.offset, 0, extent.size);
  std::memset(static_cast<std::byte*>(to) + there, 0,
              static_cast<std::size_t>(extent.size - there));
  try {
    read_fully(driver.fd, {extent.offset, there}, to);
    return 0;
  } catch (const Error&) {  // an exception must not pass through C
    return -1;
  }
}

herr_t write(H5FD_t* file, H5FD_mem_t /*type*/, hid_t /*transfer*/, haddr_t address,
             std::size_t size, const void* from) {
  Driver& driver = self(file);
  const auto* at = static_cast<const std::byte*>(from);
  auto offset = static_cast<std::int64_t>(address);
  std::size_t left = size;
  while (left > 0 && driver.write_failure == 0) {
    const ssize_t put = ::pwrite(driver.fd, at, left, offset);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      driver.write_failure = put < 0 ? errno : ENOSPC;
      break;
    }
    at += put;
    offset += put;
    left -= static_cast<std::size_t>(put);
  }
  driver.size = std::max(driver.size, static_cast<std::int64_t>(address + size));
  return 0;
}

herr_t truncate(H5FD_t* file, hid_t /*transfer*/, hbool_t /*closing*/) {
  Driver& driver = self(file);
  const auto wanted = static_cast<std::int64_t>(driver.end_of_allocation);
  if (driver.size == wanted) return 0;
  if (driver.write_failure == 0 && ::ftruncate(driver.fd, wanted) != 0) {
    driver.write_failure = errno;
  }
  driver.size = wanted;
  return 0;
}

hid_t driver_id() {
  static const hid_t id = [] {
    static H5FD_class_t definition{};
#if H5_VERSION_GE(1, 13, 0)
    definition.version = H5FD_CLASS_VERSION;
    definition.value = static_cast<H5FD_class_value_t>(600);  // from the range for applications
#endif
    definition.name = "cellmill";
    definition.maxaddr = static_cast<haddr_t>(std::numeric_limits<std::int64_t>::max());
    definition.fc_degree = H5F_CLOSE_WEAK;
    definition.open = open_file;
    definition.close = close_file;
    definition.cmp = compare;
    definition.query = query;
    definition.get_eoa = end_of_allocation;
    definition.set_eoa = set_end_of_allocation;
    definition.get_eof = end_of_file;
    definition.get_handle = get_handle;
    definition.read = read;
    definition.write = write;
    definition.truncate = truncate;
    for (H5FD_mem_t& kind : definition.fl_map) kind = H5FD_MEM_DEFAULT;
    return H5FDregister(&definition);
  }();
  return id;
}

}  // namespace

hid_t make_access() {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access >= 0) H5Pset_driver(access, driver_id(), nullptr);
  return access;
}

Driver* driver_of(hid_t file) {
  void* handle = nullptr;
  return H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 ? nullptr : static_cast<Driver*>(handle);
}

int descriptor(const Driver& driver) { return driver.fd; }
std::int64_t file_size(const Driver& driver) { return driver.size; }

void check_written(const Driver& driver) {
  if (driver.write_failure == 0) return;
  throw io_error("can't be written: " + std::generic_category().message(driver.write_failure));
}

void reserve_space(Driver& driver) {
  if (driver.write_failure == 0 && ::fallocate(driver.fd, 0, 0, driver.size) != 0 &&
      (errno == ENOSPC || errno == EDQUOT)) {
    driver.write_failure = errno;
  }
  check_written(driver);
}

std::optional<ChunkPlace> locate(Driver& driver, hid_t dataset, const hsize_t* corner) {
  ChunkPlace place;
  std::byte unused{};
  driver.note = &place.extent;
  const herr_t status = H5Dread_chunk(dataset, H5P_DEFAULT, corner, &place.filter_mask, &unused);
  driver.note = nullptr;
  if (status < 0) return std::nullopt;
  return place;
}

void read_fully(int descriptor, Extent extent, void* to) {
  auto* at = static_cast<std::byte*>(to);
  while (extent.size > 0) {
    const ssize_t got =
        ::pread(descriptor, at, static_cast<std::size_t>(extent.size), extent.offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw io_error(std::generic_category().message(errno));
    if (got == 0) {
      throw io_error(fmt::format("the file ends at byte {}, {} more were expected",
                                 grouped(extent.offset), grouped(extent.size)));
    }
    at += got;
    extent.offset += got;
    extent.size -= got;
  }
}

}  // namespace cellmill::hdf5
